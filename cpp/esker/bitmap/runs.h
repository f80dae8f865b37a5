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

// Words of 64 bits with one bit for the encoding's own use: the groups that encodings share.
struct Groups63 {
  using Word = std::uint64_t;
  static constexpr int kGroupBits = 63;
  static constexpr Word kOnes = 0x7FFF'FFFF'FFFF'FFFF;
};

// Without the instruction, which not every x86-64 has: a dozen operations that the processor overlaps with
// others, where the compiler's fallback is a call (std::popcount).
constexpr std::uint64_t bits_set(std::uint64_t word) {
  word -= word >> 1 & 0x5555'5555'5555'5555;
  word = (word & 0x3333'3333'3333'3333) + (word >> 2 & 0x3333'3333'3333'3333);
  word = (word + (word >> 4)) & 0x0F0F'0F0F'0F0F'0F0F;
  return word * 0x0101'0101'0101'0101 >> 56;
}

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

// Writes operation(left, right), group by group, to the end of the shorter stream. The operation works on
// words, keeps bits beyond the group clear, and maps two fills to a fill.
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

// Gives the maximal runs of rows set in the groups it is given, as `take(start, stop)`.
template <class Layout, class Take>
class RowRuns {
 public:
  using Word = typename Layout::Word;

  explicit RowRuns(Take take) : take_(take) {}

  void add(Word word, std::uint64_t groups) {
    if (word == Layout::kOnes) {
      extend(row_, row_ + groups * Layout::kGroupBits);
    } else {
      while (word != 0) {
        const int first = std::countr_zero(word);
        const int length = std::countr_one(static_cast<Word>(word >> first));
        extend(row_ + static_cast<unsigned>(first), row_ + static_cast<unsigned>(first + length));
        // Adding one at the lowest set bit carries through the stretch of ones and leaves the rest.
        word &= static_cast<Word>(word + (word & (0 - word)));
      }
    }
    row_ += groups * Layout::kGroupBits;
  }

  void finish() {
    if (start_ != stop_) take_(start_, stop_);
    start_ = stop_;
  }

 private:
  void extend(std::uint64_t from, std::uint64_t to) {
    if (from != stop_ || start_ == stop_) {
      if (start_ != stop_) take_(start_, stop_);
      start_ = from;
    }
    stop_ = to;
  }

  Take take_;
  std::uint64_t row_ = 0;    // first row of the next group
  std::uint64_t start_ = 0;  // first row of the run being extended
  std::uint64_t stop_ = 0;   // one past its last; start == stop: none yet
};

// Calls take(start, stop) for each maximal run of rows set, ascending.
template <class Layout, RunSource<Layout> Source, class Take>
void for_each_row_run(Source source, Take take) {
  RowRuns<Layout, Take> runs(take);
  for (auto run = source.next(); run.groups != 0; run = source.next()) runs.add(run.word, run.groups);
  runs.finish();
}

// Takes runs of rows in ascending order and writes groups to a sink, its own or a borrowed one (`Sink&`).
template <class Layout, RunSink<Layout> Sink>
class RowRunWriter {
 public:
  using Word = typename Layout::Word;

  RowRunWriter() = default;
  explicit RowRunWriter(Sink sink) : sink_(sink) {}

  auto& sink() { return sink_; }
  const auto& sink() const { return sink_; }

  void add_row(std::uint64_t row) {
    const std::uint64_t group = row / Layout::kGroupBits;
    if (group != group_) move_to(group);
    word_ |= Word{1} << (row % Layout::kGroupBits);
  }

  // Adds rows of one group; none added before lies behind it.
  void add_word(std::uint64_t group, Word word) {
    if (group != group_) move_to(group);
    word_ |= word;
  }

  // Holds: first <= start < stop, where `first` is past every row added before.
  void add_run(std::uint64_t start, std::uint64_t stop) {
    constexpr std::uint64_t kBits = Layout::kGroupBits;
    const std::uint64_t first = start / kBits;
    const std::uint64_t last = stop / kBits;
    if (first != group_) move_to(first);
    const Word from_start = Layout::kOnes & (~Word{0} << (start % kBits));
    const Word to_stop = (Word{1} << (stop % kBits)) - 1;
    if (first == last) {
      word_ |= from_start & to_stop;
      return;
    }
    word_ |= from_start;
    move_to(first + 1);
    if (last > first + 1) {
      sink_.add(Layout::kOnes, last - first - 1);
      group_ = last;
    }
    word_ = to_stop;
  }

  // Ends the stream. Holds: every row added is below `row_count`.
  void finish(std::uint64_t row_count) {
    // After a run that ends with its group the open group lies past the last one, and is empty.
    const std::uint64_t groups = group_count<Layout>(row_count);
    if (group_ < groups) move_to(groups);
  }

 private:
  // Writes the open group and zeros up to `group`.
  void move_to(std::uint64_t group) {
    sink_.add(word_, 1);
    if (group > group_ + 1) sink_.add(0, group - group_ - 1);
    group_ = group;
    word_ = 0;
  }

  Sink sink_;
  std::uint64_t group_ = 0;  // the open group, whose bits so far are in word_
  Word word_ = 0;
};

}  // namespace esker::bitmap
