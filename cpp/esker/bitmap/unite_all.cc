// The wide OR. Two plans: merge the vectors two by two, smallest first, or OR them all into one word per
// group.
//
// The accumulator costs one pass over all groups however little is set, the merges cost every input word
// again at each level. Always the accumulator: 16 to 50 times slower on very sparse vectors; never: up to 118
// times on wide ORs (prototype, real data). So the words decide.
#include <algorithm>
#include <bit>
#include <memory>
#include <queue>
#include <stdexcept>

#include "esker/bitmap/wah32.h"

namespace esker::bitmap {
namespace {

// A merged word costs about three times a word accumulated or a group cleared and encoded again.
constexpr std::uint64_t kMergedWordCost = 3;
constexpr std::uint64_t kGroupCost = 2;

bool accumulator_is_cheaper(std::span<const Wah32* const> vectors) {
  std::uint64_t words = 0;
  for (const Wah32* vector : vectors) words += vector->words().size();
  const auto levels = static_cast<std::uint64_t>(std::bit_width(vectors.size() - 1));
  return words + kGroupCost * group_count<Groups31>(vectors[0]->row_count()) <
         kMergedWordCost * words * levels;
}

Wah32 accumulated(std::span<const Wah32* const> vectors) {
  const std::uint64_t row_count = vectors[0]->row_count();
  std::vector<std::uint32_t> groups(group_count<Groups31>(row_count));
  const std::uint32_t last = last_group_mask<Groups31>(row_count);
  std::size_t full = 0;  // groups before this one are all ones
  for (const Wah32* vector : vectors) {
    accumulate<Groups31>(vector->runs(), groups.data());
    while (full < groups.size() && groups[full] == (full + 1 < groups.size() ? Groups31::kOnes : last))
      ++full;
    if (full == groups.size()) break;
  }
  wah32::Sink sink;
  for (const std::uint32_t word : groups) sink.add(word, 1);
  return Wah32::from_words(sink.take(), row_count);
}

Wah32 merged(std::span<const Wah32* const> vectors) {
  const auto longer = [](const Wah32* a, const Wah32* b) { return a->words().size() > b->words().size(); };
  std::priority_queue queue(vectors.begin(), vectors.end(), longer, std::vector<const Wah32*>());
  std::vector<std::unique_ptr<const Wah32>>
      partial;  // results stay until the end: few, and small by the rule above
  while (queue.size() > 1) {
    const Wah32* first = queue.top();
    queue.pop();
    const Wah32* second = queue.top();
    queue.pop();
    partial.push_back(std::make_unique<const Wah32>(first->unite(*second)));
    if (partial.back()->all()) return *partial.back();
    queue.push(partial.back().get());
  }
  return *queue.top();
}

}  // namespace

Wah32 unite_all(std::span<const Wah32* const> vectors) {
  if (vectors.empty()) throw std::invalid_argument("a union needs at least one vector");
  for (const Wah32* vector : vectors) {
    if (vector->row_count() != vectors[0]->row_count())
      throw std::invalid_argument("vectors of different row counts");
  }
  for (const Wah32* vector : vectors) {
    if (vector->all()) return *vector;
  }
  if (vectors.size() == 1) return *vectors[0];
  return accumulator_is_cheaper(vectors) ? accumulated(vectors) : merged(vectors);
}

}  // namespace esker::bitmap
