#include "esker/bitmap/narrowing.h"

#include <algorithm>

#include "esker/bitmap/codecs.h"
#include "esker/bitmap/leaps.h"
#include "esker/bitmap/results.h"

namespace esker::bitmap {
namespace {

// What finding a group in compressed words costs, in words read in a row.
constexpr std::uint64_t kSeekWords = 8;

// Neither branches on what is set, nor guesses: a group is written, and kept if it has rows.
std::size_t list_dense(std::span<const std::uint64_t> words, std::uint64_t* numbers, std::uint64_t* out) {
  std::size_t size = 0;
  for (std::size_t group = 0; group < words.size(); ++group) {
    numbers[size] = group;
    out[size] = words[group];
    size += words[group] != 0 ? 1 : 0;
  }
  return size;
}

std::size_t list_wah64(std::span<const std::uint64_t> words, std::uint64_t* numbers, std::uint64_t* out) {
  using W = wah::Word<Groups63>;
  std::size_t size = 0;
  std::uint64_t group = 0;
  for (const std::uint64_t word : words) {
    if (word >= (W::kFill | W::kFillBit)) {
      for (const std::uint64_t stop = group + (word & W::kFillGroupsMax); group != stop; ++group) {
        numbers[size] = group;
        out[size++] = Groups63::kOnes;
      }
      continue;
    }
    const std::uint64_t is_fill = word >> Groups63::kGroupBits;
    numbers[size] = group;
    out[size] = word;
    size += 1 - is_fill;
    group += is_fill != 0 ? word & W::kFillGroupsMax : 1;
  }
  return size;
}

template <class Cursor>
void look_up_leaping(Cursor cursor, std::span<const std::uint64_t> groups, std::uint64_t* found) {
  for (std::size_t i = 0; i < groups.size();) {
    const auto run = cursor.at(groups[i]);
    const std::uint64_t stop = groups[i] + run.groups;
    for (; i < groups.size() && groups[i] < stop; ++i) found[i] |= run.word;
  }
}

void look_up_streamed(const Vector& vector, std::span<const std::uint64_t> groups, std::uint64_t* found) {
  RunStream stream(vector);
  std::uint64_t stop = 0;
  std::size_t i = 0;
  for (auto run = stream.next(); run.groups != 0 && i < groups.size(); run = stream.next()) {
    stop += run.groups;
    for (; i < groups.size() && groups[i] < stop; ++i) found[i] |= run.word;
  }
}

}  // namespace

// Words gone through by looking up the groups that may be left, and by uniting everything.
bool Narrowing::looking_up_is_cheaper(Vectors vectors) const {
  if (!whole_) return true;
  const std::uint64_t groups = group_count<Groups63>(row_count());
  const std::uint64_t wanted = std::min(count(), groups);
  std::uint64_t looked_up = wanted + groups / 2;
  std::uint64_t united = groups;
  for (const Vector* vector : vectors) {
    const std::uint64_t words = union_weight(*vector);
    united += words;
    looked_up += vector->encoding() == Encoding::dense ? wanted : std::min(2 * words, kSeekWords * wanted);
  }
  return looked_up < united;
}

void Narrowing::list_groups() {
  const Vector& rows = whole_->get();
  row_count_ = rows.row_count();
  // One more: a group without rows is written behind the last.
  const std::uint64_t most = std::min(rows.count(), group_count<Groups63>(row_count_)) + 1;
  groups_.numbers.resize(most);
  groups_.words.resize(most);
  std::size_t size = 0;
  if (rows.encoding() == Encoding::dense || rows.encoding() == Encoding::wah64) {
    const auto list = rows.encoding() == Encoding::dense ? &list_dense : &list_wah64;
    size = list(rows.words<std::uint64_t>(), groups_.numbers.data(), groups_.words.data());
  } else {
    RunStream stream(rows);
    std::uint64_t group = 0;
    for (auto run = stream.next(); run.groups != 0; run = stream.next()) {
      for (std::uint64_t i = 0; run.word != 0 && i != run.groups; ++i) {
        groups_.numbers.data()[size] = group + i;
        groups_.words.data()[size++] = run.word;
      }
      group += run.groups;
    }
  }
  groups_.numbers.resize(size);
  groups_.words.resize(size);
  count_ = rows.count();
  whole_.reset();
}

void Narrowing::look_up(const Vector& vector) {
  const auto groups = groups_.numbers.span();
  std::uint64_t* const found = groups_.found.data();
  if (vector.encoding() == Encoding::dense) {
    const std::uint64_t* const words = vector.words<std::uint64_t>().data();
    for (std::size_t i = 0; i < groups.size(); ++i) found[i] |= words[groups[i]];
  } else if (leaps(vector)) {
    with_cursor(vector, [&](auto cursor) { look_up_leaping(cursor, groups, found); });
  } else {
    look_up_streamed(vector, groups, found);
  }
}

void Narrowing::keep_found(bool inside) {
  const std::uint64_t flip = inside ? 0 : ~std::uint64_t{0};
  std::uint64_t* const numbers = groups_.numbers.data();
  std::uint64_t* const words = groups_.words.data();
  const std::uint64_t* const found = groups_.found.data();
  std::size_t size = 0;
  count_ = 0;
  for (std::size_t i = 0; i < groups_.numbers.size(); ++i) {
    const std::uint64_t left = words[i] & (found[i] ^ flip);
    numbers[size] = numbers[i];
    words[size] = left;
    size += left != 0 ? 1 : 0;
    count_ += bits_set(left);
  }
  groups_.numbers.resize(size);
  groups_.words.resize(size);
}

void Narrowing::narrow(Vectors vectors, bool inside) {
  for (const Vector* vector : vectors) {
    if (vector->row_count() != row_count()) throw InvalidInput("bitmaps of other rows cannot be combined");
  }
  if (vectors.empty()) throw InvalidInput("a union needs at least one vector");
  if (count() == 0) return;
  if (!looking_up_is_cheaper(vectors)) {
    const Operation operation = inside ? Operation::intersect : Operation::subtract;
    whole_ = Union(combine(operation, whole_->get(), unite(vectors).get()));
    return;
  }
  if (whole_) list_groups();
  groups_.found.resize(groups_.numbers.size());
  std::fill_n(groups_.found.data(), groups_.found.size(), 0);
  for (const Vector* vector : vectors) look_up(*vector);
  keep_found(inside);
}

Vector Narrowing::take() && {
  if (whole_) return std::move(*whole_).take(form_);
  wah::Sink<Groups63> sink;
  std::uint64_t written = 0;
  for (std::size_t i = 0; i < groups_.numbers.size(); ++i) {
    const std::uint64_t group = groups_.numbers.data()[i];
    if (group != written) sink.add(0, group - written);
    sink.add(groups_.words.data()[i], 1);
    written = group + 1;
  }
  if (const std::uint64_t groups = group_count<Groups63>(row_count_); written != groups)
    sink.add(0, groups - written);
  return settle(wah::Written<Groups63>{sink.take(), count_}, row_count_, form_);
}

}  // namespace esker::bitmap
