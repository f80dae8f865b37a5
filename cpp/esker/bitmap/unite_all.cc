// The wide OR. Three plans:
//
// accumulate   OR all vectors into one word per group. Costs one pass over all groups however little is set.
// windows      the same, a stretch of groups at a time, where all groups would take too much memory.
// merge        two by two, smallest first. Costs every word again at each level, and nothing for groups.
//
// Always accumulating is 16 to 50 times slower on very sparse vectors; never doing it up to 118 times on wide
// ORs (real data). So the sizes decide.
#include "esker/bitmap/unite_all.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <queue>
#include <vector>

#include "esker/bitmap/codecs.h"
#include "esker/bitmap/results.h"
#include "esker/bitmap/window.h"
#include "esker/error.h"

namespace esker::bitmap {
namespace {

// What a word merged costs in words accumulated, and how many groups are cleared, tallied and encoded again
// in that time.
constexpr std::uint64_t kMergedWordCost = 3;
constexpr std::uint64_t kGroupsPerWord = 4;

// More groups than this are done in windows.
constexpr std::uint64_t kGroupsAtOnce = std::uint64_t{1} << 22;

bool merging_is_cheaper(const std::vector<const Vector*>& vectors, std::uint64_t groups) {
  std::uint64_t words = 0;
  for (const Vector* vector : vectors) words += union_weight(*vector);
  const auto levels = static_cast<std::uint64_t>(std::bit_width(vectors.size() - 1));
  return kMergedWordCost * words * levels < words + groups / kGroupsPerWord;
}

// A zero fill adds nothing to its group and moves on: literals and zero fills, which is nearly all there is,
// take the same way, and nothing is to be guessed. Holds: one word may be read and written behind the last.
void accumulate_wah64(std::span<const std::uint64_t> words, std::uint64_t* groups) {
  using W = wah::Word<Groups63>;
  for (const std::uint64_t word : words) {
    if (word >= (W::kFill | W::kFillBit)) {
      const std::uint64_t length = word & W::kFillGroupsMax;
      std::fill_n(groups, length, Groups63::kOnes);
      groups += length;
      continue;
    }
    const std::uint64_t is_fill = word >> Groups63::kGroupBits;
    const std::uint64_t bits = word & (is_fill - 1);
    *groups |= bits;
    groups += is_fill != 0 ? word & W::kFillGroupsMax : 1;
  }
}

void accumulate(const Vector& vector, std::uint64_t* groups) {
  switch (vector.encoding()) {
    case Encoding::wah64:
      return accumulate_wah64(vector.words<std::uint64_t>(), groups);
    case Encoding::gap_run:
      return GapRun::or_into(vector.data(), groups);
    case Encoding::dense:
      return unite_words(groups, vector.words<std::uint64_t>().data(), vector.words<std::uint64_t>().size());
    default:
      break;
  }
  RunStream stream(vector);
  for (auto run = stream.next(); run.groups != 0; run = stream.next()) {
    if (run.groups == 1) {
      *groups |= run.word;
    } else if (run.word != 0) {
      std::fill_n(groups, run.groups, Groups63::kOnes);
    }
    groups += run.groups;
  }
}

// Groups before `full` are all ones; moves it on as far as that holds.
void advance_full(std::span<const std::uint64_t> groups, std::uint64_t last, std::size_t& full) {
  while (full < groups.size() && groups[full] == (full + 1 < groups.size() ? Groups63::kOnes : last)) ++full;
}

Union accumulated(const std::vector<const Vector*>& vectors, std::uint64_t row_count, Form form) {
  const std::uint64_t groups = group_count<Groups63>(row_count);
  Buffer<std::uint64_t> words(groups + 1);  // one more: see accumulate_wah64
  const bool copied = vectors[0]->encoding() == Encoding::dense;
  if (copied) {
    std::memcpy(words.data(), vectors[0]->data().data(), groups * sizeof(std::uint64_t));
  } else {
    std::memset(words.data(), 0, (groups + 1) * sizeof(std::uint64_t));
  }
  words.resize(groups);
  const std::uint64_t last = last_group_mask<Groups63>(row_count);
  std::size_t full = 0;
  std::uint64_t rows = 0;
  for (std::size_t i = 0; i < vectors.size() && full != groups; ++i) {
    if (i != 0 || !copied) accumulate(*vectors[i], words.data());
    // Until as many rows were seen as there are not all can be set.
    rows += std::min(vectors[i]->count(), row_count - rows);
    if (rows == row_count) advance_full(words.span(), last, full);
  }
  const Tally tally = tally_words(words.data(), groups);
  return Union(Vector(form, Encoding::dense, row_count, tally.count, std::move(words).bytes()),
               tally.literals);
}

Vector in_windows(const std::vector<const Vector*>& vectors, std::uint64_t row_count, Form form) {
  std::vector<WindowReader> readers;
  readers.reserve(vectors.size());
  for (const Vector* vector : vectors) readers.emplace_back(*vector);
  wah::Sink<Groups63> sink;
  std::uint64_t count = 0;
  Buffer<std::uint64_t> window(kWindowGroups);
  for (std::uint64_t left = group_count<Groups63>(row_count); left != 0;) {
    const std::uint64_t size = std::min(left, kWindowGroups);
    std::memset(window.data(), 0, size * sizeof(std::uint64_t));
    for (WindowReader& reader : readers) {
      reader.read(size, [&window](std::uint64_t offset, std::uint64_t word, std::uint64_t groups) {
        for (std::uint64_t* at = window.data() + offset; groups != 0; --groups) *at++ |= word;
      });
    }
    count += tally_words(window.data(), size).count;
    for (std::uint64_t i = 0; i != size; ++i) sink.add(window.data()[i], 1);
    left -= size;
  }
  return settle(wah::Written<Groups63>{sink.take(), count}, row_count, form);
}

Vector merged(const std::vector<const Vector*>& vectors, Form form) {
  const auto longer = [](const Vector* a, const Vector* b) { return a->data().size() > b->data().size(); };
  std::priority_queue queue(vectors.begin(), vectors.end(), longer, std::vector<const Vector*>());
  std::vector<std::unique_ptr<const Vector>> partial;  // until the end: few, and small by the rule above
  while (queue.size() > 1) {
    const Vector* first = queue.top();
    queue.pop();
    const Vector* second = queue.top();
    queue.pop();
    partial.push_back(std::make_unique<const Vector>(combine(Operation::unite, *first, *second)));
    if (partial.back()->all()) break;
    queue.push(partial.back().get());
  }
  return settle(*partial.back(), form);
}

}  // namespace

std::uint64_t union_weight(const Vector& vector) {
  const std::uint64_t bytes = vector.data().size();
  return vector.encoding() == Encoding::wah64 || vector.encoding() == Encoding::dense ? bytes / 8 : bytes;
}

bool accumulating_is_cheaper(const Vector& left, const Vector& right) {
  const std::uint64_t groups = group_count<Groups63>(left.row_count());
  return groups <= kGroupsAtOnce && kMergedWordCost * (union_weight(left) + union_weight(right)) > groups;
}

Union accumulate(const Vector& left, const Vector& right) {
  return accumulated({&left, &right}, left.row_count(), left.form());
}

Union unite(Vectors vectors) {
  if (vectors.empty()) throw InvalidInput("a union needs at least one vector");
  const std::uint64_t row_count = vectors[0]->row_count();
  std::vector<const Vector*> some;
  some.reserve(vectors.size());
  for (const Vector* vector : vectors) {
    check_row_counts(*vectors[0], *vector);
    if (vector->all()) return Union(vector);
    if (!vector->none()) some.push_back(vector);
  }
  if (some.size() <= 1) return Union(some.empty() ? vectors[0] : some[0]);
  const Form form = vectors[0]->form();
  if (some.size() == 2) return Union(combine(Operation::unite, *some[0], *some[1]));
  const std::uint64_t groups = group_count<Groups63>(row_count);
  if (merging_is_cheaper(some, groups)) return Union(merged(some, form));
  if (groups > kGroupsAtOnce) return Union(in_windows(some, row_count, form));
  // The most rows first: where all rows are reached, they are reached soon.
  std::stable_sort(some.begin(), some.end(),
                   [](const Vector* a, const Vector* b) { return a->count() > b->count(); });
  return accumulated(some, row_count, form);
}

Vector Union::take(Form form) && {
  if (operand_ != nullptr) return settle(*operand_, form);
  if (literals_.has_value()) return settle(*std::move(made_), *literals_, form);
  return settle(*std::move(made_), form);
}

Vector unite_all(Vectors vectors) {
  Union all = unite(vectors);
  return std::move(all).take(vectors[0]->form());
}

namespace {

// The AND of the unions of all ranges but the last, and then `end` of it and the last union: either may be
// none.
template <class End>
auto over_ranges(std::span<const Vectors> bounds, End end) {
  if (bounds.empty()) throw InvalidInput("a range query needs at least one range");
  Union result = unite(bounds[0]);
  for (std::size_t i = 1; i + 1 < bounds.size() && !result.get().none(); ++i)
    result = Union(combine(Operation::intersect, result.get(), unite(bounds[i]).get()));
  if (bounds.size() == 1 || result.get().none()) return end(std::move(result), nullptr);
  const Union last = unite(bounds.back());
  return end(std::move(result), &last.get());
}

}  // namespace

Vector ranges(std::span<const Vectors> bounds) {
  return over_ranges(bounds, [&bounds](Union result, const Vector* last) {
    const Form form = bounds[0][0]->form();
    return last == nullptr ? std::move(result).take(form)
                           : settle(combine(Operation::intersect, result.get(), *last), form);
  });
}

std::uint64_t count_ranges(std::span<const Vectors> bounds) {
  return over_ranges(bounds, [](const Union& result, const Vector* last) {
    return last == nullptr ? result.get().count() : intersect_count(result.get(), *last);
  });
}

}  // namespace esker::bitmap
