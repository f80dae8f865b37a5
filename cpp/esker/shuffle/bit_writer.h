// Bits of a page's bitmap, one after the other. A word is written once, atomically, since a neighbour's claim may share
// the first and the last.
#pragma once

#include <atomic>
#include <cstdint>

namespace esker::shuffle {

class BitWriter {
 public:
  BitWriter(std::uint8_t* bitmap, std::uint32_t begin)
      : word_(reinterpret_cast<std::uint64_t*>(bitmap) + begin / 64), bit_(begin % 64) {}
  ~BitWriter() { flush(); }
  BitWriter(const BitWriter&) = delete;
  BitWriter& operator=(const BitWriter&) = delete;

  void add(bool value) {
    bits_ |= std::uint64_t{value} << bit_;
    if (++bit_ == 64) next_word();
  }

  void add_ones(std::uint32_t count) {
    while (count > 0) {
      const std::uint32_t here = count < 64 - bit_ ? count : 64 - bit_;
      bits_ |= (here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1) << bit_;
      bit_ += here;
      count -= here;
      if (bit_ == 64) next_word();
    }
  }

 private:
  void next_word() {
    flush();
    ++word_;
    bit_ = 0;
  }

  void flush() {
    if (bits_ != 0) std::atomic_ref<std::uint64_t>(*word_).fetch_or(bits_, std::memory_order_relaxed);
    bits_ = 0;
  }

  std::uint64_t* word_;
  std::uint32_t bit_;
  std::uint64_t bits_ = 0;
};

}  // namespace esker::shuffle
