// For encodings with many ways to write a set, one of which is theirs: whether bytes are what their own Sink
// makes of the set that they hold.
#pragma once

#include <algorithm>
#include <bit>

#include "esker/bitmap/codec.h"
#include "esker/error.h"

namespace esker::bitmap {

// Counts the rows. Holds: `data` is safe to read.
template <class C>
std::uint64_t check_form(Data data, std::uint64_t row_count) {
  typename C::Source source(data, row_count);
  typename C::Sink sink(row_count);
  std::uint64_t count = 0;
  std::uint64_t last = 0;
  for (auto run = source.next(); run.groups != 0; run = source.next()) {
    sink.add(run.word, run.groups);
    count += bits_set(run.word) * run.groups;
    last = run.word;
  }
  if ((last & ~last_group_mask<Groups63>(row_count)) != 0) throw BitmapCorrupt("rows past the row count");
  if (const Bytes again = sink.take(); !std::ranges::equal(again.span(), data))
    throw BitmapCorrupt("not written as this encoding writes it");
  return count;
}

}  // namespace esker::bitmap
