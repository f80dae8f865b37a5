// Where in a vector which group lies: made when first asked for, not stored.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "esker/bitmap/buffer.h"

namespace esker::bitmap {

// The first group of every 32nd word: 1.6 % of the words of 64 bits. Without it an AND reads every word of
// both vectors, which is what made plain WAH 159 times slower than Roaring on census1881.
//
// Of gap_run: the place before every 64th run, and where in the bytes to go on from there.
struct Directory {
  static constexpr std::size_t kWords = 32;
  static constexpr std::size_t kRuns = 64;

  // Where a block of runs begins: bytes of gaps before it, lengths before it, bytes of the four lengths it
  // begins in.
  struct Mark {
    std::uint32_t gap_bytes;
    std::uint32_t lengths;
    std::uint32_t length_bytes;
  };

  Buffer<std::uint64_t> positions;
  Buffer<Mark> marks;
  Mark whole{0, 0, 0};  // all gaps and lengths there are
  bool leaps = true;    // false: of these bytes there is no directory
  std::uint64_t groups = 0;

  // The last block that begins at or before `group` (or place), `from` or a later one: by leaps that double,
  // then by halves, since most leaps are short.
  std::size_t find(std::size_t from, std::uint64_t group) const {
    std::size_t step = 1;
    while (from + step < positions.size() && positions.data()[from + step] <= group) {
      from += step;
      step *= 2;
    }
    const auto* const first = positions.data() + from;
    const auto* const last = positions.data() + std::min(from + step, positions.size());
    return static_cast<std::size_t>(std::upper_bound(first, last, group) - positions.data()) - 1;
  }
};

// A directory made by whichever thread needs it first.
class LazyDirectory {
 public:
  LazyDirectory() = default;
  LazyDirectory(LazyDirectory&& other) noexcept : made_(other.made_.exchange(nullptr)) {}
  LazyDirectory& operator=(LazyDirectory&& other) noexcept {
    delete made_.exchange(other.made_.exchange(nullptr));
    return *this;
  }
  ~LazyDirectory() { delete made_.load(); }

  template <class Make>
  const Directory& get(Make make) const {
    const Directory* found = made_.load(std::memory_order_acquire);
    if (found != nullptr) return *found;
    const Directory* const made = new Directory(make());
    if (made_.compare_exchange_strong(found, made, std::memory_order_acq_rel)) return *made;
    delete made;
    return *found;
  }

  std::size_t held_bytes() const {
    const Directory* const found = made_.load(std::memory_order_acquire);
    return found == nullptr
               ? 0
               : sizeof(Directory) + found->positions.capacity_bytes() + found->marks.capacity_bytes();
  }

 private:
  mutable std::atomic<const Directory*> made_{nullptr};
};

}  // namespace esker::bitmap
