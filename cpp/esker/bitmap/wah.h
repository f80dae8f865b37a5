// WAH, Word-Aligned Hybrid code (Wu, Otoo, Nordberg, Shoshani 2001), for words of 32 and of 64 bits.
//
//   literal   0 | 31 or 63 bits, lowest row in the lowest bit
//   fill      1 | bit | count of groups that are all `bit`, in 30 or 62 bits
//
// One set of rows has one form: groups of all zeros or all ones are always fills, a fill is as long as it can
// be, and rows past the row count are zero. So equal vectors have equal words, and anything else is corrupt.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "esker/bitmap/buffer.h"
#include "esker/bitmap/directory.h"
#include "esker/bitmap/runs.h"
#include "esker/error.h"

namespace esker::bitmap::wah {

template <class Layout>
struct Word {
  using Type = typename Layout::Word;
  static constexpr Type kFill = Type{1} << Layout::kGroupBits;
  static constexpr Type kFillBit = kFill >> 1;
  static constexpr Type kFillGroupsMax = kFillBit - 1;
};

template <class Layout>
using Words = std::span<const typename Layout::Word>;

template <class Layout>
Run<Layout> run_of(typename Layout::Word word) {
  using W = Word<Layout>;
  if ((word & W::kFill) == 0) return {word, 1};
  return {(word & W::kFillBit) != 0 ? Layout::kOnes : typename Layout::Word{0}, word & W::kFillGroupsMax};
}

template <class Layout>
std::uint64_t groups_of(typename Layout::Word word) {
  using W = Word<Layout>;
  return (word & W::kFill) == 0 ? 1 : word & W::kFillGroupsMax;
}

template <class Layout>
class Source {
 public:
  explicit Source(Words<Layout> words) : at_(words.data()), end_(words.data() + words.size()) {}

  Run<Layout> next() { return at_ == end_ ? Run<Layout>{} : run_of<Layout>(*at_++); }

 private:
  const typename Layout::Word* at_;
  const typename Layout::Word* end_;
};
static_assert(RunSource<Source<Groups31>, Groups31>);

// Appends groups and keeps the one form. The words may be drained while it goes on.
template <class Layout>
class Sink {
 public:
  using Type = typename Layout::Word;
  using W = Word<Layout>;

  void add(Type word, std::uint64_t groups) {
    if (word != 0 && word != Layout::kOnes) {
      words_.push(word);
    } else {
      add_fill(word != 0 ? W::kFill | W::kFillBit : W::kFill, groups);
    }
  }

  // Appends words that follow one another in the one form already; `count` is at least 1.
  void append(const Type* words, std::size_t count) {
    std::size_t fills = 0;
    do {
      const auto run = run_of<Layout>(words[fills++]);
      add(run.word, run.groups);
    } while (fills != count && (words[fills] & W::kFill) != 0);
    words_.append(words + fills, count - fills);
  }

  const Buffer<Type>& words() const { return words_; }
  void reserve(std::size_t words) { words_.reserve(words); }
  Buffer<Type> take() { return std::move(words_); }

  // Moves all words to `out` but the last, which may still grow.
  void drain(std::vector<Type>& out) {
    if (words_.size() < 2) return;
    out.insert(out.end(), words_.data(), words_.data() + words_.size() - 1);
    const Type last = words_.back();
    words_ = Buffer<Type>();
    words_.push(last);
  }

 private:
  void add_fill(Type head, std::uint64_t groups) {
    if (!words_.empty() && (words_.back() & (W::kFill | W::kFillBit)) == head) {
      const std::uint64_t room = W::kFillGroupsMax - (words_.back() & W::kFillGroupsMax);
      const std::uint64_t merged = std::min(room, groups);
      words_.back() += static_cast<Type>(merged);
      groups -= merged;
    }
    while (groups != 0) {
      const std::uint64_t length = std::min<std::uint64_t>(groups, W::kFillGroupsMax);
      words_.push(head | static_cast<Type>(length));
      groups -= length;
    }
  }

  Buffer<Type> words_;
};
static_assert(RunSink<Sink<Groups31>, Groups31>);

[[noreturn]] inline void corrupt(std::size_t place, const char* what) {
  throw BitmapCorrupt("word " + std::to_string(place) + ": " + what);
}

// Counts the rows set; throws BitmapCorrupt unless the words are the one form of some set of rows.
template <class Layout>
std::uint64_t check(Words<Layout> words, std::uint64_t row_count) {
  using W = Word<Layout>;
  using Type = typename Layout::Word;
  const std::uint64_t groups_max = group_count<Layout>(row_count);
  std::uint64_t groups = 0;
  std::uint64_t count = 0;
  Type before = 0;  // a literal, so that the first fill has nothing to merge with
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Type word = words[i];
    std::uint64_t length = 1;
    if ((word & W::kFill) == 0) {
      if (word == 0 || word == Layout::kOnes) corrupt(i, "a fill written as a literal");
      count += bits_set(word);
    } else {
      length = word & W::kFillGroupsMax;
      if (length == 0) corrupt(i, "a fill of no groups");
      const bool same = (before & W::kFill) != 0 && ((before ^ word) & W::kFillBit) == 0;
      if (same && (before & W::kFillGroupsMax) != W::kFillGroupsMax)
        corrupt(i, "a fill that the one before could hold");
      if ((word & W::kFillBit) != 0) count += length * Layout::kGroupBits;
    }
    if (length > groups_max - groups) corrupt(i, "more groups than the row count has");
    groups += length;
    before = word;
  }
  if (groups != groups_max) corrupt(words.size(), "fewer groups than the row count has");
  if (words.empty()) return 0;
  if ((run_of<Layout>(before).word & ~last_group_mask<Layout>(row_count)) != 0)
    corrupt(words.size() - 1, "rows past the row count");
  return count;
}

// Walks words forward, to any group; long ways with the help of the directory.
template <class Layout>
class Cursor {
 public:
  using Type = typename Layout::Word;

  Cursor(Words<Layout> words, const Directory& directory)
      : words_(words.data()), size_(words.size()), directory_(&directory) {}

  // The run `group` lies in, from that group on. Holds: groups asked for do not descend, and lie within.
  Run<Layout> at(std::uint64_t group) {
    seek(group);
    auto run = run_of<Layout>(words_[index_]);
    run.groups -= group - position_;
    return run;
  }

  // Appends the groups from `group` to `stop` to the sink.
  void copy(std::uint64_t group, std::uint64_t stop, Sink<Layout>& sink) {
    if (group >= stop) return;
    const auto run = at(group);
    sink.add(run.word, std::min(run.groups, stop - group));
    if (run.groups >= stop - group) return;
    position_ += groups_of<Layout>(words_[index_]);
    ++index_;
    const std::size_t first = index_;
    if (stop == directory_->groups) {
      index_ = size_;
      position_ = stop;
    } else {
      seek(stop);
    }
    if (index_ != first) sink.append(words_ + first, index_ - first);
    if (position_ != stop) sink.add(run_of<Layout>(words_[index_]).word, stop - position_);
  }

 private:
  void seek(std::uint64_t group) {
    const std::size_t block = index_ / Directory::kWords;
    if (directory_->positions.size() > block + 1 && directory_->positions.data()[block + 1] <= group) {
      index_ = directory_->find(block + 1, group) * Directory::kWords;
      position_ = directory_->positions.data()[index_ / Directory::kWords];
    }
    for (std::uint64_t length = groups_of<Layout>(words_[index_]); position_ + length <= group;
         length = groups_of<Layout>(words_[index_])) {
      position_ += length;
      ++index_;
    }
  }

  const Type* words_;
  std::size_t size_;
  const Directory* directory_;
  std::size_t index_ = 0;
  std::uint64_t position_ = 0;  // of the first group of word index_
};

template <class Layout>
Directory directory_of(Words<Layout> words) {
  Directory out;
  out.positions.reserve(words.size() / Directory::kWords + 1);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i % Directory::kWords == 0) out.positions.push(out.groups);
    out.groups += groups_of<Layout>(words[i]);
  }
  return out;
}

// What an operation writes: words, and how many rows they hold.
template <class Layout>
struct Written {
  Buffer<typename Layout::Word> words;
  std::uint64_t count = 0;
};

// What walks groups forward by leaps, as Cursor does.
template <class C, class Layout>
concept Leaping = requires(C cursor, std::uint64_t group) {
  { cursor.at(group) } -> std::same_as<Run<Layout>>;
};

// Walks both by leaps: where one has zeros the other's words are not looked at.
template <class Layout, Leaping<Layout> Left, Leaping<Layout> Right>
Written<Layout> intersect(Left left, Right right, std::uint64_t groups) {
  Sink<Layout> sink;
  std::uint64_t count = 0;
  std::uint64_t group = 0;
  std::uint64_t written = 0;
  while (group < groups) {
    const auto a = left.at(group);
    if (a.word == 0) {
      group += a.groups;
      continue;
    }
    const auto b = right.at(group);
    if (b.word == 0) {
      group += b.groups;
      continue;
    }
    const auto length = std::min(a.groups, b.groups);
    if (const auto word = static_cast<typename Layout::Word>(a.word & b.word); word != 0) {
      if (group != written) sink.add(0, group - written);
      sink.add(word, length);
      count += bits_set(word) * length;
      written = group + length;
    }
    group += length;
  }
  if (written != groups) sink.add(0, groups - written);
  return {sink.take(), count};
}

// Rows set in both. The same walk.
template <class Layout, Leaping<Layout> Left, Leaping<Layout> Right>
std::uint64_t intersect_count(Left left, Right right, std::uint64_t groups) {
  std::uint64_t count = 0;
  for (std::uint64_t group = 0; group < groups;) {
    const auto a = left.at(group);
    if (a.word == 0) {
      group += a.groups;
      continue;
    }
    const auto b = right.at(group);
    if (b.word == 0) {
      group += b.groups;
      continue;
    }
    const auto length = std::min(a.groups, b.groups);
    count += bits_set(a.word & b.word) * length;
    group += length;
  }
  return count;
}

// The same, where the left comes group by group.
template <class Layout, RunSource<Layout> Source>
Written<Layout> intersect(Source left, Cursor<Layout> right, std::uint64_t groups) {
  Sink<Layout> sink;
  std::uint64_t count = 0;
  std::uint64_t group = 0;
  std::uint64_t written = 0;
  for (auto run = left.next(); run.groups != 0; run = left.next()) {
    const std::uint64_t stop = group + run.groups;
    while (run.word != 0 && group != stop) {
      const auto other = right.at(group);
      const auto length = std::min(other.groups, stop - group);
      if (const auto word = static_cast<typename Layout::Word>(run.word & other.word); word != 0) {
        if (group != written) sink.add(0, group - written);
        sink.add(word, length);
        count += bits_set(word) * length;
        written = group + length;
      }
      group += length;
    }
    group = stop;
  }
  if (written != groups) sink.add(0, groups - written);
  return {sink.take(), count};
}

// Walks the smaller group by group and copies what lies between from the larger.
template <class Layout, RunSource<Layout> Source>
Written<Layout> unite(Source smaller, std::uint64_t smaller_count, Cursor<Layout> larger,
                      std::size_t words_expected, std::uint64_t larger_count, std::uint64_t groups) {
  Sink<Layout> sink;
  sink.reserve(words_expected);
  std::uint64_t common = 0;
  std::uint64_t group = 0;
  std::uint64_t written = 0;
  for (auto run = smaller.next(); run.groups != 0; run = smaller.next()) {
    const std::uint64_t stop = group + run.groups;
    if (run.word != 0) {
      larger.copy(written, group, sink);
      for (written = group; written != stop;) {
        const auto other = larger.at(written);
        const auto length = std::min(other.groups, stop - written);
        sink.add(run.word | other.word, length);
        common += bits_set(run.word & other.word) * length;
        written += length;
      }
    }
    group = stop;
  }
  larger.copy(written, groups, sink);
  return {sink.take(), smaller_count + larger_count - common};
}

// Any operation, over two streams of the same groups.
template <class Layout, RunSource<Layout> Left, RunSource<Layout> Right, class Combine>
Written<Layout> combine(Left left, Right right, Combine operation) {
  struct Counting {
    Sink<Layout> words;
    std::uint64_t count = 0;
    void add(typename Layout::Word word, std::uint64_t groups) {
      words.add(word, groups);
      count += bits_set(word) * groups;
    }
  } sink;
  bitmap::combine<Layout>(std::move(left), std::move(right), sink, operation);
  return {sink.words.take(), sink.count};
}

// Flips every group; of the last only the rows in `last_mask`.
template <class Layout>
Buffer<typename Layout::Word> invert(Words<Layout> words, typename Layout::Word last_mask) {
  Sink<Layout> sink;
  sink.reserve(words.size() + 2);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const auto run = run_of<Layout>(words[i]);
    sink.add(run.word ^ Layout::kOnes, run.groups);
  }
  if (!words.empty()) {
    const auto last = run_of<Layout>(words.back());
    if (last.groups > 1) sink.add(last.word ^ Layout::kOnes, last.groups - 1);
    sink.add((last.word ^ Layout::kOnes) & last_mask, 1);
  }
  return sink.take();
}

}  // namespace esker::bitmap::wah
