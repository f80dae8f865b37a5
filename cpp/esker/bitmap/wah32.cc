#include "esker/bitmap/wah32.h"

#include <bit>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

#include "esker/error.h"

namespace esker::bitmap {
namespace {

using wah32::kFill;
using wah32::kFillBit;
using wah32::kFillGroupsMax;

std::uint64_t count_rows(std::span<const std::uint32_t> words) {
  std::uint64_t count = 0;
  wah32::Source source(words);
  for (auto run = source.next(); run.groups != 0; run = source.next()) {
    count += static_cast<std::uint64_t>(std::popcount(run.word)) * run.groups;
  }
  return count;
}

[[noreturn]] void corrupt(std::size_t place, const char* what) {
  throw BitmapCorrupt("word " + std::to_string(place) + ": " + what);
}

void validate(std::span<const std::uint32_t> words, std::uint64_t row_count) {
  const std::uint64_t groups_max = group_count<Groups31>(row_count);
  std::uint64_t groups = 0;
  std::uint32_t before = 0;  // a literal, so that the first fill has nothing to merge with
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint32_t word = words[i];
    if ((word & kFill) == 0) {
      if (word == 0 || word == Groups31::kOnes) corrupt(i, "a fill written as a literal");
      groups += 1;
    } else {
      const std::uint32_t length = word & kFillGroupsMax;
      if (length == 0) corrupt(i, "a fill of no groups");
      const bool same = (before & kFill) != 0 && ((before ^ word) & kFillBit) == 0;
      if (same && (before & kFillGroupsMax) != kFillGroupsMax)
        corrupt(i, "a fill that the one before could hold");
      groups += length;
    }
    if (groups > groups_max) corrupt(i, "more groups than the row count has");
    before = word;
  }
  if (groups != groups_max) corrupt(words.size(), "fewer groups than the row count has");
  if (words.empty()) return;
  const std::uint32_t last = (before & kFill) == 0 ? before : (before & kFillBit) != 0 ? Groups31::kOnes : 0;
  if ((last & ~last_group_mask<Groups31>(row_count)) != 0)
    corrupt(words.size() - 1, "rows past the row count");
}

}  // namespace

namespace wah32 {

void Sink::add_fill(std::uint32_t head, std::uint64_t groups) {
  if (!words_.empty() && (words_.back() & (kFill | kFillBit)) == head) {
    const std::uint64_t room = kFillGroupsMax - (words_.back() & kFillGroupsMax);
    const std::uint64_t merged = std::min(room, groups);
    words_.back() += static_cast<std::uint32_t>(merged);
    groups -= merged;
  }
  while (groups != 0) {
    const std::uint64_t length = std::min<std::uint64_t>(groups, kFillGroupsMax);
    words_.push_back(head | static_cast<std::uint32_t>(length));
    groups -= length;
  }
}

void Sink::drain(std::vector<std::uint32_t>& out) {
  if (words_.size() < 2) return;
  out.insert(out.end(), words_.begin(), words_.end() - 1);
  words_ = std::vector<std::uint32_t>{words_.back()};
}

}  // namespace wah32

void Wah32Writer::move_to(std::uint64_t group) {
  sink_.add(word_, 1);
  if (group > group_ + 1) sink_.add(0, group - group_ - 1);
  group_ = group;
  word_ = 0;
}

void Wah32Writer::add_run(std::uint64_t start, std::uint64_t stop) {
  constexpr std::uint64_t kBits = Groups31::kGroupBits;
  const std::uint64_t first = start / kBits;
  const std::uint64_t last = stop / kBits;
  if (first != group_) move_to(first);
  const std::uint32_t from_start = Groups31::kOnes & (~std::uint32_t{0} << (start % kBits));
  const std::uint32_t to_stop = (std::uint32_t{1} << (stop % kBits)) - 1;
  if (first == last) {
    word_ |= from_start & to_stop;
    return;
  }
  word_ |= from_start;
  move_to(first + 1);
  if (last > first + 1) {
    sink_.add(Groups31::kOnes, last - first - 1);
    group_ = last;
  }
  word_ = to_stop;
}

std::vector<std::uint32_t> Wah32Writer::finish(std::uint64_t row_count) {
  // After a run that ends with its group the open group lies past the last one, and is empty.
  const std::uint64_t groups = group_count<Groups31>(row_count);
  if (group_ < groups) move_to(groups);
  return sink_.take();
}

Wah32::Wah32(std::uint64_t row_count) : Wah32(Wah32Writer().finish(row_count), row_count) {}

Wah32::Wah32(std::vector<std::uint32_t> words, std::uint64_t row_count)
    : words_(std::move(words)), row_count_(row_count), count_(count_rows(words_)) {}

Wah32 Wah32::from_positions(std::span<const std::uint64_t> rows, std::uint64_t row_count) {
  Wah32Writer writer;
  std::uint64_t least = 0;
  for (const std::uint64_t row : rows) {
    if (row < least || row >= row_count)
      throw std::invalid_argument("rows must ascend and be below the row count");
    writer.add_row(row);
    least = row + 1;
  }
  return Wah32(writer.finish(row_count), row_count);
}

Wah32 Wah32::from_runs(std::span<const std::uint64_t> starts, std::span<const std::uint64_t> stops,
                       std::uint64_t row_count) {
  if (starts.size() != stops.size()) throw std::invalid_argument("as many starts as stops, please");
  Wah32Writer writer;
  std::uint64_t least = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (starts[i] < least || starts[i] >= stops[i] || stops[i] > row_count) {
      throw std::invalid_argument("runs must ascend and end within the row count");
    }
    writer.add_run(starts[i], stops[i]);
    least = stops[i];
  }
  return Wah32(writer.finish(row_count), row_count);
}

Wah32 Wah32::from_words(std::vector<std::uint32_t> words, std::uint64_t row_count) {
  validate(words, row_count);
  return Wah32(std::move(words), row_count);
}

template <class Operation>
Wah32 Wah32::combined(const Wah32& other, Operation operation) const {
  if (row_count_ != other.row_count_) throw std::invalid_argument("vectors of different row counts");
  wah32::Sink sink;
  combine<Groups31>(runs(), other.runs(), sink, operation);
  return Wah32(sink.take(), row_count_);
}

Wah32 Wah32::intersect(const Wah32& other) const {
  return combined(other, std::bit_and<std::uint32_t>());
}

Wah32 Wah32::unite(const Wah32& other) const {
  return combined(other, std::bit_or<std::uint32_t>());
}

Wah32 Wah32::differ(const Wah32& other) const {
  return combined(other, std::bit_xor<std::uint32_t>());
}

Wah32 Wah32::subtract(const Wah32& other) const {
  return combined(other, [](std::uint32_t left, std::uint32_t right) { return left & ~right; });
}

Wah32 Wah32::invert() const {
  wah32::Sink sink;
  combine<Groups31>(Ones<Groups31>(row_count_), runs(), sink,
                    [](std::uint32_t left, std::uint32_t right) { return left & ~right; });
  return Wah32(sink.take(), row_count_);
}

void Wah32::positions(std::uint64_t* out) const {
  for_each_row_run<Groups31>(runs(), [&out](std::uint64_t start, std::uint64_t stop) {
    for (std::uint64_t row = start; row < stop; ++row) *out++ = row;
  });
}

}  // namespace esker::bitmap
