// A union that only some rows are asked of: once a query has few rows left, the vectors of its other conditions are
// looked up where these rows are, and not united whole.
#include <algorithm>

#include "esker/bitmap/codecs.h"
#include "esker/bitmap/leaps.h"
#include "esker/bitmap/operations.h"
#include "esker/bitmap/results.h"
#include "esker/bitmap/unite_all.h"

namespace esker::bitmap {
namespace {

// What finding a group in compressed words costs, in words read in a row.
constexpr std::uint64_t kSeekWords = 8;

// The groups in which a vector has rows, and what was found for them.
struct Picked {
  Buffer<std::uint64_t> groups;
  Buffer<std::uint64_t> words;
  Buffer<std::uint64_t> found;
};

Picked pick(const Vector& rows) {
  Picked out;
  std::uint64_t group = 0;
  RunStream stream(rows);
  for (auto run = stream.next(); run.groups != 0; run = stream.next()) {
    const std::uint64_t stop = group + run.groups;
    if (run.word == 0) {
      group = stop;
      continue;
    }
    for (; group != stop; ++group) {
      out.groups.push(group);
      out.words.push(run.word);
    }
  }
  out.found.resize(out.groups.size());
  std::fill_n(out.found.data(), out.found.size(), 0);
  return out;
}

void look_up_dense(const Vector& vector, Picked& picked) {
  const std::uint64_t* const words = vector.words<std::uint64_t>().data();
  const std::uint64_t* const groups = picked.groups.data();
  std::uint64_t* const found = picked.found.data();
  for (std::size_t i = 0; i < picked.groups.size(); ++i) found[i] |= words[groups[i]];
}

template <class Cursor>
void look_up_leaping(Cursor cursor, Picked& picked) {
  const std::uint64_t* const groups = picked.groups.data();
  std::uint64_t* const found = picked.found.data();
  for (std::size_t i = 0; i < picked.groups.size();) {
    const auto run = cursor.at(groups[i]);
    const std::uint64_t stop = groups[i] + run.groups;
    for (; i < picked.groups.size() && groups[i] < stop; ++i) found[i] |= run.word;
  }
}

void look_up_streamed(const Vector& vector, Picked& picked) {
  RunStream stream(vector);
  std::uint64_t stop = 0;
  std::size_t i = 0;
  for (auto run = stream.next(); run.groups != 0 && i < picked.groups.size(); run = stream.next()) {
    stop += run.groups;
    for (; i < picked.groups.size() && picked.groups.data()[i] < stop; ++i) picked.found.data()[i] |= run.word;
  }
}

void look_up(const Vector& vector, Picked& picked) {
  if (vector.encoding() == Encoding::dense) return look_up_dense(vector, picked);
  if (leaps(vector)) return with_cursor(vector, [&](auto cursor) { look_up_leaping(cursor, picked); });
  look_up_streamed(vector, picked);
}

// Words gone through by looking up so many groups, and by uniting everything.
bool looking_up_is_cheaper(const Vector& rows, Vectors vectors) {
  const std::uint64_t groups = group_count<Groups63>(rows.row_count());
  const std::uint64_t wanted = std::min(rows.count(), groups);
  std::uint64_t looked_up = 2 * wanted;
  std::uint64_t united = groups / 2;
  for (const Vector* vector : vectors) {
    const bool dense = vector->encoding() == Encoding::dense;
    const std::uint64_t words = union_weight(*vector);
    united += words;
    looked_up += dense ? wanted : std::min(2 * words, kSeekWords * wanted);
  }
  return looked_up < united;
}

enum class Kept : std::uint8_t { in_some, in_none };

Vector kept(Kept kept, const Picked& picked, std::uint64_t row_count, Form form) {
  const std::uint64_t flip = kept == Kept::in_some ? 0 : ~std::uint64_t{0};
  wah::Sink<Groups63> sink;
  std::uint64_t count = 0;
  std::uint64_t written = 0;
  for (std::size_t i = 0; i < picked.groups.size(); ++i) {
    const std::uint64_t word = picked.words.data()[i] & (picked.found.data()[i] ^ flip);
    if (word == 0) continue;
    const std::uint64_t group = picked.groups.data()[i];
    if (group != written) sink.add(0, group - written);
    sink.add(word, 1);
    count += bits_set(word);
    written = group + 1;
  }
  if (const std::uint64_t groups = group_count<Groups63>(row_count); written != groups)
    sink.add(0, groups - written);
  return settle(wah::Written<Groups63>{sink.take(), count}, row_count, form);
}

Vector restricted(Kept how, const Vector& rows, Vectors vectors) {
  for (const Vector* vector : vectors) check_row_counts(rows, *vector);
  if (vectors.empty() || rows.none())
    return how == Kept::in_none || rows.none() ? settle(rows, rows.form()) : none(rows.row_count(), rows.form());
  if (vectors.size() == 1 || !looking_up_is_cheaper(rows, vectors))
    return settle(combine(how == Kept::in_some ? Operation::intersect : Operation::subtract, rows,
                          vectors.size() == 1 ? *vectors[0] : unite(vectors).get()),
                  rows.form());
  Picked picked = pick(rows);
  for (const Vector* vector : vectors) look_up(*vector, picked);
  return kept(how, picked, rows.row_count(), rows.form());
}

}  // namespace

Vector within(const Vector& rows, Vectors vectors) {
  return restricted(Kept::in_some, rows, vectors);
}

Vector outside(const Vector& rows, Vectors vectors) {
  return restricted(Kept::in_none, rows, vectors);
}

}  // namespace esker::bitmap
