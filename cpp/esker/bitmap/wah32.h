// WAH, Word-Aligned Hybrid code, with words of 32 bits (Wu, Otoo, Nordberg, Shoshani 2001).
//
//   literal   0 | 31 bits, lowest row in the lowest bit
//   fill      1 | bit | 30-bit count of groups that are all `bit`
//
// One set of rows has one form: groups of all zeros or all ones are always fills, a fill is as long as it can
// be, and rows past the row count are zero. So equal vectors have equal words, and anything else is corrupt.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "esker/bitmap/runs.h"

namespace esker::bitmap {

namespace wah32 {
inline constexpr std::uint32_t kFill = 0x8000'0000;
inline constexpr std::uint32_t kFillBit = 0x4000'0000;
inline constexpr std::uint32_t kFillGroupsMax = 0x3FFF'FFFF;

class Source {
 public:
  explicit Source(std::span<const std::uint32_t> words)
      : at_(words.data()), end_(words.data() + words.size()) {}

  Run<Groups31> next() {
    if (at_ == end_) return {};
    const std::uint32_t word = *at_++;
    if ((word & kFill) == 0) return {word, 1};
    return {(word & kFillBit) != 0 ? Groups31::kOnes : 0, word & kFillGroupsMax};
  }

 private:
  const std::uint32_t* at_;
  const std::uint32_t* end_;
};
static_assert(RunSource<Source, Groups31>);

// Appends groups and keeps the one form. The words may be drained while it goes on.
class Sink {
 public:
  void add(std::uint32_t word, std::uint64_t groups) {
    if (word != 0 && word != Groups31::kOnes) {
      words_.push_back(word);
    } else {
      add_fill(word != 0 ? kFill | kFillBit : kFill, groups);
    }
  }

  const std::vector<std::uint32_t>& words() const { return words_; }
  std::vector<std::uint32_t> take() { return std::move(words_); }

  // Moves all words to `out` but the last, which may still grow.
  void drain(std::vector<std::uint32_t>& out);

 private:
  void add_fill(std::uint32_t head, std::uint64_t groups);

  std::vector<std::uint32_t> words_;
};
static_assert(RunSink<Sink, Groups31>);
}  // namespace wah32

// A vector of rows, immutable once made: threads may share it.
class Wah32 {
 public:
  // No row of `row_count` is set.
  explicit Wah32(std::uint64_t row_count);

  // Rows strictly ascending and below the row count, or std::invalid_argument.
  static Wah32 from_positions(std::span<const std::uint64_t> rows, std::uint64_t row_count);

  // Runs of rows `starts[i]` to `stops[i]` (exclusive), ascending, apart, below the row count, or
  // std::invalid_argument.
  static Wah32 from_runs(std::span<const std::uint64_t> starts, std::span<const std::uint64_t> stops,
                         std::uint64_t row_count);

  // Words of unknown origin; throws BitmapCorrupt unless they are the one form of some set of rows.
  static Wah32 from_words(std::vector<std::uint32_t> words, std::uint64_t row_count);

  std::uint64_t row_count() const { return row_count_; }
  std::uint64_t count() const { return count_; }
  std::span<const std::uint32_t> words() const { return words_; }
  wah32::Source runs() const { return wah32::Source(words_); }
  bool all() const { return count_ == row_count_; }

  // Both of one row count, or std::invalid_argument.
  Wah32 intersect(const Wah32& other) const;
  Wah32 unite(const Wah32& other) const;
  Wah32 differ(const Wah32& other) const;
  Wah32 subtract(const Wah32& other) const;
  Wah32 invert() const;

  // Writes count() rows, ascending.
  void positions(std::uint64_t* out) const;

 private:
  friend class Wah32Writer;
  Wah32(std::vector<std::uint32_t> words, std::uint64_t row_count);

  template <class Operation>
  Wah32 combined(const Wah32& other, Operation operation) const;

  std::vector<std::uint32_t> words_;
  std::uint64_t row_count_;
  std::uint64_t count_;
};

// Takes rows and runs of rows in ascending order.
class Wah32Writer {
 public:
  // Holds: first <= start < stop, where `first` is past every row added before.
  void add_run(std::uint64_t start, std::uint64_t stop);
  void add_row(std::uint64_t row) {
    const std::uint64_t group = row / Groups31::kGroupBits;
    if (group != group_) move_to(group);
    word_ |= std::uint32_t{1} << (row % Groups31::kGroupBits);
  }

  void drain(std::vector<std::uint32_t>& out) { sink_.drain(out); }
  std::size_t capacity_bytes() const { return sink_.words().capacity() * sizeof(std::uint32_t); }

  // Ends the vector; gives the words not drained. Holds: every row added is below `row_count`.
  std::vector<std::uint32_t> finish(std::uint64_t row_count);

 private:
  // Writes the open group and zeros up to `group`.
  void move_to(std::uint64_t group);

  wah32::Sink sink_;
  std::uint64_t group_ = 0;  // the open group, whose bits so far are in word_
  std::uint32_t word_ = 0;
};

// The union of vectors of one row count; stops early once every row is set. At least one vector, or
// std::invalid_argument.
Wah32 unite_all(std::span<const Wah32* const> vectors);

}  // namespace esker::bitmap
