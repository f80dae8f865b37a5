#include "esker/bitmap/encodings/gap_run.h"

#include <algorithm>

#include "esker/error.h"

namespace esker::bitmap {
namespace {

using gap_run::place_of;

constexpr std::uint64_t kGroupPlaces = 64;

// Reads a varint of unknown origin whose first byte has `flags` bits below it that are something else.
std::uint64_t read_checked(const std::uint8_t*& at, const std::uint8_t* end, int flags = 0) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += shift == 0 ? 7 - flags : 7) {
    if (at == end) throw BitmapCorrupt("ends within a number");
    const std::uint64_t bits = (*at & 0x7Fu) >> (shift == 0 ? flags : 0);
    if (shift >= 64 || bits << shift >> shift != bits) throw BitmapCorrupt("a number of more than 64 bits");
    value |= bits << shift;
    if ((*at++ & 0x80) != 0) continue;
    if (bits == 0 && shift != 0) throw BitmapCorrupt("a number longer than it need be");
    return value;
  }
}

// The rows before a place that is one.
std::uint64_t row_of(std::uint64_t place) {
  return place - place / kGroupPlaces;
}

bool is_place(std::uint64_t place) {
  return place % kGroupPlaces != kGroupPlaces - 1;
}

}  // namespace

bool GapRun::Source::fetch() {
  if (at_ == end_) return false;
  const auto run = gap_run::read_run(at_, base_);
  start_ = run.start;
  stop_ = run.stop;
  base_ = stop_ + 1;
  return true;
}

Run<Groups63> GapRun::Source::next() {
  while (start_ < stop_ || fetch()) {
    const std::uint64_t group = start_ / kGroupPlaces;
    if (group != group_) {
      const Run<Groups63> run{word_, word_ != 0 ? 1 : group - group_};
      group_ += run.groups;
      word_ = 0;
      return run;
    }
    const std::uint64_t first = start_ % kGroupPlaces;
    if (const std::uint64_t full = (stop_ - start_ + 1) / kGroupPlaces; first == 0 && full != 0) {
      group_ += full;
      start_ = group_ * kGroupPlaces;
      return {Groups63::kOnes, full};
    }
    const std::uint64_t past = std::min(stop_ - group * kGroupPlaces, kGroupPlaces - 1);
    word_ |= ((std::uint64_t{1} << past) - 1) & (~std::uint64_t{0} << first);
    start_ = (group + 1) * kGroupPlaces;
  }
  if (group_ == groups_) return {};
  const Run<Groups63> run{word_, word_ != 0 ? 1 : groups_ - group_};
  group_ += run.groups;
  word_ = 0;
  return run;
}

void GapRun::Sink::write(std::uint64_t value, std::uint64_t flag, int flags) {
  const int first_bits = 7 - flags;
  std::uint64_t low = (value & ((std::uint64_t{1} << first_bits) - 1)) << flags | flag;
  for (value >>= first_bits; value != 0; value >>= 7) {
    bytes_.push(static_cast<std::uint8_t>(low | 0x80));
    low = value & 0x7F;
  }
  bytes_.push(static_cast<std::uint8_t>(low));
}

void GapRun::Sink::write_run(std::uint64_t start_row, std::uint64_t stop_row) {
  const std::uint64_t start = place_of(start_row);
  const std::uint64_t stop = place_of(stop_row - 1) + 1;
  const bool longer = stop - start > 1;
  write(start - base_, longer ? 1 : 0, 1);
  if (longer) write(stop - start - 2, 0, 0);
  base_ = stop + 1;
}

std::uint64_t GapRun::check(Data data, std::uint64_t row_count) {
  const std::uint64_t limit = row_count == 0 ? 0 : place_of(row_count - 1) + 1;
  const std::uint8_t* at = data.data();
  const std::uint8_t* const end = at + data.size();
  std::uint64_t base = 0;
  std::uint64_t count = 0;
  std::uint64_t rows_before = 0;  // the row behind the last run
  while (at != end) {
    const bool longer = (*at & 1) != 0;
    const std::uint64_t gap = read_checked(at, end, 1);
    if (base > limit || gap >= limit - base) throw BitmapCorrupt("rows past the row count");
    const std::uint64_t start = base + gap;
    std::uint64_t length = 1;
    if (longer) {
      const std::uint64_t more = read_checked(at, end);
      if (more >= limit - start || more + 1 >= limit - start) throw BitmapCorrupt("rows past the row count");
      length = more + 2;
    }
    const std::uint64_t stop = start + length;
    if (!is_place(start) || !is_place(stop - 1)) throw BitmapCorrupt("a run begins or ends between groups");
    const std::uint64_t first = row_of(start);
    if (base != 0 && first <= rows_before) throw BitmapCorrupt("runs that touch");
    rows_before = row_of(stop - 1) + 1;
    count += rows_before - first;
    base = stop + 1;
  }
  return count;
}

void GapRun::or_into(Data data, std::uint64_t* groups) {
  const std::uint8_t* at = data.data();
  const std::uint8_t* const end = at + data.size();
  for (std::uint64_t base = 0; at != end;) {
    const auto [start, stop] = gap_run::read_run(at, base);
    base = stop + 1;
    const std::uint64_t first = start / kGroupPlaces;
    if (stop == start + 1) {
      groups[first] |= std::uint64_t{1} << (start % kGroupPlaces);
      continue;
    }
    const std::uint64_t last = (stop - 1) / kGroupPlaces;
    const std::uint64_t from_start = Groups63::kOnes & (~std::uint64_t{0} << (start % kGroupPlaces));
    const std::uint64_t to_stop = ~std::uint64_t{0} >> (kGroupPlaces - 1 - (stop - 1) % kGroupPlaces);
    if (first == last) {
      groups[first] |= from_start & to_stop;
      continue;
    }
    groups[first] |= from_start;
    std::fill(groups + first + 1, groups + last, Groups63::kOnes);
    groups[last] |= to_stop;
  }
}

}  // namespace esker::bitmap
