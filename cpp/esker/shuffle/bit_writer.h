// Bits of a page's bitmap, one after the other. A word is written once; the first and the last, which a
// neighbour's claim may share, atomically.
//
// Values of bits are set in a bitmap of zeros, nulls are cleared in one of ones. An atomic operation waits
// for the streaming stores before it: bitmaps of all claims are written before any values.
#pragma once

#include <atomic>
#include <cstdint>

namespace esker::shuffle {

enum class Bits : std::uint8_t { set, clear };

// `add(true)` sets the next bit of the bitmap, or clears it.
template <Bits how>
class BitWriter {
 public:
  BitWriter(std::uint8_t* bitmap, std::uint32_t begin)
      : word_(reinterpret_cast<std::uint64_t*>(bitmap) + begin / 64), bit_(begin % 64), whole_(bit_ == 0) {}
  ~BitWriter() { share(); }
  BitWriter(const BitWriter&) = delete;
  BitWriter& operator=(const BitWriter&) = delete;

  void add(bool change) {
    bits_ |= std::uint64_t{change} << bit_;
    if (++bit_ == 64) next_word();
  }

 private:
  void next_word() {
    if (whole_) {
      *word_ = how == Bits::set ? bits_ : ~bits_;
    } else {
      share();
    }
    ++word_;
    bits_ = 0;
    bit_ = 0;
    whole_ = true;
  }

  void share() {
    if (bits_ == 0) return;
    std::atomic_ref<std::uint64_t> word(*word_);
    if constexpr (how == Bits::set) {
      word.fetch_or(bits_, std::memory_order_relaxed);
    } else {
      word.fetch_and(~bits_, std::memory_order_relaxed);
    }
  }

  std::uint64_t* word_;
  std::uint32_t bit_;
  bool whole_;  // all bits of the word are ours
  std::uint64_t bits_ = 0;
};

}  // namespace esker::shuffle
