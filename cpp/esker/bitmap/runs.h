// Run streams: what every bitmap encoding gives and takes, and the operations written once over them.
//
// Rows are cut into groups of Layout::kGroupBits rows; bit i of a group's word is row (group * kGroupBits +
// i). A run is a word and how many groups in a row have it; more than one only if the word is all zeros or
// all ones (a fill). Streams of one layout align group by group; streams of different layouts do not and are
// never combined.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace esker::bitmap {

// Words of 32 bits with one bit for the encoding's own use.
struct Groups31 {
  using Word = std::uint32_t;
  static constexpr int kGroupBits = 31;
  static constexpr Word kOnes = 0x7FFF'FFFF;
};

template <class Layout>
constexpr std::uint64_t group_count(std::uint64_t row_count) {
  return row_count / Layout::kGroupBits + (row_count % Layout::kGroupBits != 0);
}

// The rows that exist in the last group; all of them when the row count is a multiple of the group.
template <class Layout>
constexpr typename Layout::Word last_group_mask(std::uint64_t row_count) {
  const auto used = row_count % Layout::kGroupBits;
  return used == 0 ? Layout::kOnes
                   : static_cast<typename Layout::Word>((typename Layout::Word{1} << used) - 1);
}

template <class Layout>
struct Run {
  typename Layout::Word word = 0;
  std::uint64_t groups = 0;  // 0: the stream has ended
};

template <class Source, class Layout>
concept RunSource = requires(Source source) {
  { source.next() } -> std::same_as<Run<Layout>>;
};

template <class Sink, class Layout>
concept RunSink =
    requires(Sink sink, typename Layout::Word word, std::uint64_t groups) { sink.add(word, groups); };

// Every row of a vector: what NOT subtracts from.
template <class Layout>
class Ones {
 public:
  explicit Ones(std::uint64_t row_count)
      : mask_(last_group_mask<Layout>(row_count)),
        full_(row_count / Layout::kGroupBits),
        left_(group_count<Layout>(row_count)) {}

  Run<Layout> next() {
    const bool whole = full_ > 0;
    const Run<Layout> run{whole ? Layout::kOnes : mask_, whole ? full_ : left_};
    left_ -= run.groups;
    full_ = 0;
    return run;
  }

 private:
  typename Layout::Word mask_;
  std::uint64_t full_;
  std::uint64_t left_;
};

// Writes operation(left, right), group by group. Both streams are as long. The operation works on words,
// keeps bits beyond the group clear, and maps two fills to a fill.
template <class Layout, RunSource<Layout> Left, RunSource<Layout> Right, RunSink<Layout> Sink,
          class Operation>
void combine(Left left, Right right, Sink& sink, Operation operation) {
  auto a = left.next();
  auto b = right.next();
  while (a.groups != 0 && b.groups != 0) {
    const auto groups = std::min(a.groups, b.groups);
    sink.add(operation(a.word, b.word), groups);
    a.groups -= groups;
    b.groups -= groups;
    if (a.groups == 0) a = left.next();
    if (b.groups == 0) b = right.next();
  }
}

// Calls take(start, stop) for each maximal run of rows set, ascending.
template <class Layout, RunSource<Layout> Source, class Take>
void for_each_row_run(Source source, Take take) {
  std::uint64_t row = 0;    // first row of the run's first group
  std::uint64_t start = 0;  // first row of the run of set rows being extended
  std::uint64_t stop = 0;   // one past its last; start == stop: none yet
  const auto extend = [&](std::uint64_t from, std::uint64_t to) {
    if (from != stop || start == stop) {
      if (start != stop) take(start, stop);
      start = from;
    }
    stop = to;
  };
  for (auto run = source.next(); run.groups != 0; run = source.next()) {
    const std::uint64_t past = row + run.groups * Layout::kGroupBits;
    if (run.word == Layout::kOnes) {
      extend(row, past);
    } else {
      for (auto word = run.word; word != 0;) {
        const int first = std::countr_zero(word);
        const int length = std::countr_one(static_cast<typename Layout::Word>(word >> first));
        extend(row + first, row + first + length);
        // Adding one at the lowest set bit carries through the stretch of ones and leaves the rest.
        word &= static_cast<typename Layout::Word>(word + (word & (0 - word)));
      }
    }
    row = past;
  }
  if (start != stop) take(start, stop);
}

// ORs a stream into one word per group. Holds: the stream is no longer than `groups`.
template <class Layout, RunSource<Layout> Source>
void accumulate(Source source, typename Layout::Word* groups) {
  for (auto run = source.next(); run.groups != 0; run = source.next()) {
    if (run.groups == 1) {
      *groups |= run.word;
    } else if (run.word != 0) {
      std::fill_n(groups, run.groups, Layout::kOnes);
    }
    groups += run.groups;
  }
}

}  // namespace esker::bitmap
