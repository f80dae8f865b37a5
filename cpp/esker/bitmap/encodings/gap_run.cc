#include "esker/bitmap/encodings/gap_run.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "esker/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace esker::bitmap {
namespace {

using gap_run::kBig;
using gap_run::place_of;

constexpr std::uint64_t kGroupPlaces = 64;
constexpr std::uint64_t kBigGap = (kBig - 1) >> 1;

void write_varint(Bytes& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push(static_cast<std::uint8_t>(value | 0x80));
  out.push(static_cast<std::uint8_t>(value));
}

std::uint64_t varint_bytes(std::uint64_t value) {
  return (static_cast<std::uint64_t>(std::bit_width(value | 1)) + 6) / 7;
}

// Reads a varint that was checked.
std::uint64_t read_varint(const std::uint8_t*& at) {
  std::uint64_t value = *at & 0x7F;
  for (int shift = 7; (*at++ & 0x80) != 0; shift += 7) value |= std::uint64_t{*at & 0x7Fu} << shift;
  return value;
}

// Reads a varint of unknown origin.
std::uint64_t read_checked(const std::uint8_t*& at, const std::uint8_t* end) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    if (at == end) throw BitmapCorrupt("ends within a number");
    const std::uint64_t bits = *at & 0x7Fu;
    if (shift >= 64 || bits << shift >> shift != bits) throw BitmapCorrupt("a number of more than 64 bits");
    value |= bits << shift;
    if ((*at++ & 0x80) != 0) continue;
    if (bits == 0 && shift != 0) throw BitmapCorrupt("a number longer than it need be");
    return value;
  }
}

std::uint64_t size_bytes(std::uint32_t number) {
  return (static_cast<std::uint64_t>(std::bit_width(number | 1)) + 7) / 8;
}

// Bytes of four numbers, by their sizes.
constexpr auto kQuadBytes = [] {
  std::array<std::uint8_t, 256> out{};
  for (std::size_t sizes = 0; sizes < out.size(); ++sizes)
    out[sizes] =
        static_cast<std::uint8_t>(4 + (sizes & 3) + (sizes >> 2 & 3) + (sizes >> 4 & 3) + (sizes >> 6));
  return out;
}();

// Where in 16 bytes each byte of four unpacked numbers lies; 0x80: nowhere, it is zero.
constexpr auto kQuadPlaces = [] {
  std::array<std::array<std::uint8_t, 16>, 256> out{};
  for (std::size_t sizes = 0; sizes < out.size(); ++sizes) {
    std::uint8_t from = 0;
    for (std::size_t number = 0; number < 4; ++number) {
      for (std::size_t byte = 0; byte < 4; ++byte)
        out[sizes][4 * number + byte] = byte <= (sizes >> (2 * number) & 3) ? from++ : 0x80;
    }
  }
  return out;
}();

// Unpacks `quads` times four numbers and says where their bytes end. The last 16 bytes may reach past those.
const std::uint8_t* unpack_plain(const std::uint8_t* sizes, const std::uint8_t* bytes, std::size_t quads,
                                 std::uint32_t* out) {
  for (std::size_t i = 0; i < quads; ++i) {
    for (int number = 0; number < 4; ++number) {
      const int size = 1 + (sizes[i] >> (2 * number) & 3);
      std::uint32_t value = 0;
      for (int byte = 0; byte < size; ++byte) value |= std::uint32_t{*bytes++} << (8 * byte);
      *out++ = value;
    }
  }
  return bytes;
}

#if defined(__x86_64__)
__attribute__((target("ssse3")))
const std::uint8_t* unpack_shuffled(const std::uint8_t* sizes, const std::uint8_t* bytes, std::size_t quads,
                                    std::uint32_t* out) {
  for (std::size_t i = 0; i < quads; ++i) {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    const __m128i places = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kQuadPlaces[sizes[i]].data()));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 4 * i), _mm_shuffle_epi8(packed, places));
    bytes += kQuadBytes[sizes[i]];
  }
  return bytes;
}
#endif

using Unpack = const std::uint8_t* (*)(const std::uint8_t*, const std::uint8_t*, std::size_t, std::uint32_t*);

Unpack unpack() {
#if defined(__x86_64__)
  static const Unpack chosen = __builtin_cpu_supports("ssse3") != 0 ? &unpack_shuffled : &unpack_plain;
  return chosen;
#else
  return &unpack_plain;
#endif
}

// Bytes of `count` numbers with these sizes.
std::uint64_t packed_bytes(const std::uint8_t* sizes, std::uint64_t count) {
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < count / 4; ++i) bytes += kQuadBytes[sizes[i]];
  for (std::uint64_t i = count / 4 * 4; i < count; ++i) bytes += 1 + (sizes[i / 4] >> (2 * (i % 4)) & 3u);
  return bytes;
}

using gap_run::Blocks;
using gap_run::Parts;

Parts laid_out(std::uint64_t runs, std::uint64_t longer, const std::uint8_t* at) {
  Parts parts{runs, longer, at, nullptr, nullptr, nullptr, nullptr};
  parts.length_sizes = at + (runs + 3) / 4;
  parts.gaps = parts.length_sizes + (longer + 3) / 4;
  parts.lengths = parts.gaps + packed_bytes(parts.gap_sizes, runs);
  parts.bigs = parts.lengths + packed_bytes(parts.length_sizes, longer);
  return parts;
}

// The rows before a place that is one.
std::uint64_t row_of(std::uint64_t place) {
  return place - place / kGroupPlaces;
}

bool is_place(std::uint64_t place) {
  return place % kGroupPlaces != kGroupPlaces - 1;
}

// Reads numbers of unknown origin one by one, and sees that none is longer than it need be.
class CheckedNumbers {
 public:
  CheckedNumbers(const std::uint8_t* sizes, const std::uint8_t* bytes) : sizes_(sizes), bytes_(bytes) {}

  std::uint32_t next() {
    const int size = 1 + (sizes_[index_ / 4] >> (2 * (index_ % 4)) & 3);
    ++index_;
    std::uint32_t value = 0;
    for (int byte = 0; byte < size; ++byte) value |= std::uint32_t{*bytes_++} << (8 * byte);
    if (size_bytes(value) != static_cast<std::uint64_t>(size))
      throw BitmapCorrupt("a number longer than it need be");
    return value;
  }

 private:
  const std::uint8_t* sizes_;
  const std::uint8_t* bytes_;
  std::uint64_t index_ = 0;
};

}  // namespace

namespace gap_run {

void Numbers::fill() {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, kBlock));
  const std::size_t quads = (count + 3) / 4;
  bytes_ = unpack()(sizes_, bytes_, quads, block_);
  sizes_ += quads;
  left_ -= count;
  at_ = 0;
  end_ = static_cast<std::uint32_t>(count);
}

Runs::Runs(Data data) {
  if (data.empty()) return;
  const std::uint8_t* at = data.data();
  left_ = read_varint(at);
  const std::uint64_t longer = read_varint(at);
  const Parts parts = laid_out(left_, longer, at);
  gaps_ = Numbers(parts.gap_sizes, parts.gaps, left_);
  lengths_ = Numbers(parts.length_sizes, parts.lengths, longer);
  bigs_ = parts.bigs;
}

std::uint64_t Runs::big() {
  return read_varint(bigs_);
}

// What was unpacked and not used yet moves to the front.
void Blocks::unpack_lengths(std::size_t most) {
  const std::size_t kept = length_end_ - length_at_;
  std::memmove(lengths_, lengths_ + length_at_, kept * sizeof *lengths_);
  const auto more = static_cast<std::size_t>(std::min<std::uint64_t>(at_.longer, most));
  at_.lengths = unpack()(at_.length_sizes, at_.lengths, (more + 3) / 4, lengths_ + kept);
  at_.length_sizes += (more + 3) / 4;
  at_.longer -= more;
  length_at_ = 0;
  length_end_ = kept + more;
  lengths_[length_end_] = 0;  // read, and not counted, for single rows behind the last length
}

std::size_t Blocks::read(std::size_t most) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(at_.runs, most));
  at_.gaps = unpack()(at_.gap_sizes, at_.gaps, (count + 3) / 4, gaps_);
  at_.gap_sizes += (count + 3) / 4;
  at_.runs -= count;
  if (length_end_ - length_at_ < count && at_.longer != 0) unpack_lengths(most);
  if (length_end_ == length_at_) {
    std::fill_n(run_lengths_, count, 1);
    return count;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t is_longer = gaps_[i] & 1;
    run_lengths_[i] = std::uint64_t{1} + is_longer + (lengths_[length_at_] & (0 - is_longer));
    length_at_ += is_longer;
  }
  return count;
}

void Blocks::seek(std::uint64_t run, const Directory::Mark& mark) {
  at_ = parts_;
  at_.runs -= run;
  at_.gap_sizes += run / 4;
  at_.gaps += mark.gap_bytes;
  const std::uint64_t quads = mark.lengths / 4;
  at_.longer -= 4 * quads;
  at_.length_sizes += quads;
  at_.lengths += mark.length_bytes;
  length_at_ = length_end_ = 0;
  if (at_.longer == 0) return;
  unpack_lengths(Directory::kRuns);
  length_at_ = mark.lengths % 4;
}

}  // namespace gap_run

bool GapRun::Source::fetch() {
  if (runs_.left() == 0) return false;
  const auto run = runs_.next();
  start_ = run.start;
  stop_ = run.stop;
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

void GapRun::Sink::Packed::add(std::uint32_t number) {
  const std::uint64_t size = size_bytes(number);
  if (count % 4 == 0) sizes.push(0);
  sizes.back() = static_cast<std::uint8_t>(sizes.back() | (size - 1) << (2 * (count % 4)));
  for (std::uint64_t byte = 0; byte < size; ++byte)
    bytes.push(static_cast<std::uint8_t>(number >> (8 * byte)));
  ++count;
}

void GapRun::Sink::write_run(std::uint64_t start_row, std::uint64_t stop_row) {
  const std::uint64_t start = place_of(start_row);
  const std::uint64_t stop = place_of(stop_row - 1) + 1;
  const std::uint64_t gap = start - base_;
  const std::uint32_t longer = stop - start > 1 ? 1 : 0;
  gaps_.add(static_cast<std::uint32_t>(std::min(gap, kBigGap)) << 1 | longer);
  if (gap >= kBigGap) write_varint(bigs_, gap);
  if (longer != 0) {
    const std::uint64_t more = stop - start - 2;
    lengths_.add(static_cast<std::uint32_t>(std::min<std::uint64_t>(more, kBig)));
    if (more >= kBig) write_varint(bigs_, more);
  }
  base_ = stop + 1;
}

Bytes GapRun::Sink::take() {
  runs_.finish();
  Bytes out;
  if (gaps_.count == 0) return out;
  out.reserve(20 + gaps_.sizes.size() + lengths_.sizes.size() + gaps_.bytes.size() + lengths_.bytes.size() +
              bigs_.size());
  write_varint(out, gaps_.count);
  write_varint(out, lengths_.count);
  for (const Bytes* part : {&gaps_.sizes, &lengths_.sizes, &gaps_.bytes, &lengths_.bytes, &bigs_})
    out.append(part->data(), part->size());
  return out;
}

void GapRun::Size::add(std::uint64_t start_row, std::uint64_t stop_row) {
  const std::uint64_t start = place_of(start_row);
  const std::uint64_t stop = place_of(stop_row - 1) + 1;
  const std::uint64_t gap = start - base_;
  ++runs_;
  bytes_ += size_bytes(static_cast<std::uint32_t>(std::min(gap, kBigGap)) << 1);
  if (gap >= kBigGap) bytes_ += varint_bytes(gap);
  if (stop - start > 1) {
    const std::uint64_t more = stop - start - 2;
    ++longer_;
    bytes_ += size_bytes(static_cast<std::uint32_t>(std::min<std::uint64_t>(more, kBig)));
    if (more >= kBig) bytes_ += varint_bytes(more);
  }
  base_ = stop + 1;
}

std::uint64_t GapRun::Size::bytes() const {
  if (runs_ == 0) return 0;
  return varint_bytes(runs_) + varint_bytes(longer_) + (runs_ + 3) / 4 + (longer_ + 3) / 4 + bytes_;
}

std::uint64_t GapRun::check(Data data, std::uint64_t row_count) {
  if (data.empty()) return 0;
  const std::uint64_t limit = row_count == 0 ? 0 : place_of(row_count - 1) + 1;
  const std::uint8_t* at = data.data();
  const std::uint8_t* const end = at + data.size();
  const std::uint64_t runs = read_checked(at, end);
  const std::uint64_t longer = read_checked(at, end);
  const auto left = static_cast<std::uint64_t>(end - at);
  if (runs == 0 || runs > 4 * left || longer > runs || (runs + 3) / 4 + (longer + 3) / 4 > left)
    throw BitmapCorrupt("more runs than bytes");
  const std::uint8_t* const sizes = at;
  const std::uint8_t* const length_sizes = sizes + (runs + 3) / 4;
  if ((runs % 4 != 0 && sizes[runs / 4] >> (2 * (runs % 4)) != 0) ||
      (longer % 4 != 0 && length_sizes[longer / 4] >> (2 * (longer % 4)) != 0))
    throw BitmapCorrupt("a size too many");
  const Parts parts = laid_out(runs, longer, at);
  if (parts.bigs > end) throw BitmapCorrupt("ends within a number");
  const std::uint8_t* bigs = parts.bigs;
  const auto big = [&](std::uint64_t least) {
    const std::uint64_t value = read_checked(bigs, end);
    if (value < least) throw BitmapCorrupt("a number longer than it need be");
    return value;
  };
  CheckedNumbers gaps(parts.gap_sizes, parts.gaps);
  CheckedNumbers lengths(parts.length_sizes, parts.lengths);
  std::uint64_t lengths_left = longer;
  std::uint64_t base = 0;
  std::uint64_t count = 0;
  std::uint64_t rows_before = 0;  // the row behind the last run
  for (std::uint64_t i = 0; i < runs; ++i) {
    const std::uint32_t number = gaps.next();
    const std::uint64_t gap = number < kBig - 1 ? number >> 1 : big(kBigGap);
    if (base > limit || gap >= limit - base) throw BitmapCorrupt("rows past the row count");
    const std::uint64_t start = base + gap;
    std::uint64_t length = 1;
    if ((number & 1) != 0) {
      if (lengths_left-- == 0) throw BitmapCorrupt("a length is missing");
      const std::uint32_t short_more = lengths.next();
      const std::uint64_t more = short_more != kBig ? short_more : big(kBig);
      if (more >= limit - start || more + 1 >= limit - start) throw BitmapCorrupt("rows past the row count");
      length = more + 2;
    }
    const std::uint64_t stop = start + length;
    if (!is_place(start) || !is_place(stop - 1)) throw BitmapCorrupt("a run begins or ends between groups");
    const std::uint64_t first = row_of(start);
    if (i != 0 && first <= rows_before) throw BitmapCorrupt("runs that touch");
    rows_before = row_of(stop - 1) + 1;
    count += rows_before - first;
    base = stop + 1;
  }
  if (lengths_left != 0) throw BitmapCorrupt("a length too many");
  if (bigs != end) throw BitmapCorrupt("bytes behind the last run");
  return count;
}

namespace {

// Apart, so that its registers are not kept free in the loop.
[[gnu::noinline]] void set_across(std::uint64_t start, std::uint64_t length, std::uint64_t* groups) {
  const std::uint64_t first = start / kGroupPlaces;
  const std::uint64_t last_place = start + length - 1;
  const std::uint64_t last = last_place / kGroupPlaces;
  groups[first] |= Groups63::kOnes & (~std::uint64_t{0} << (start % kGroupPlaces));
  std::fill(groups + first + 1, groups + last, Groups63::kOnes);
  groups[last] |= ~std::uint64_t{0} >> (kGroupPlaces - 1 - last_place % kGroupPlaces);
}

// Sets the runs of a block and gives the base of the next. Short runs and single rows take the same way,
// because which comes next cannot be guessed.
#if defined(__x86_64__)
__attribute__((always_inline))
#endif
inline std::uint64_t set_runs(const Blocks& block, std::size_t count, std::uint64_t base,
                              std::uint64_t* groups) {
  const std::uint32_t* const gaps = block.gaps();
  const std::uint64_t* const lengths = block.lengths();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t start = base + (gaps[i] >> 1);
    const std::uint64_t length = lengths[i];
    base = start + length + 1;
    const std::uint64_t offset = start % kGroupPlaces;
    if (offset + length < kGroupPlaces) {
      groups[start / kGroupPlaces] |= ((std::uint64_t{1} << length) - 1) << offset;
    } else {
      set_across(start, length, groups);
    }
  }
  return base;
}

using SetRuns = std::uint64_t (*)(const Blocks&, std::size_t, std::uint64_t, std::uint64_t*);

std::uint64_t set_runs_plain(const Blocks& block, std::size_t count, std::uint64_t base,
                             std::uint64_t* groups) {
  return set_runs(block, count, base, groups);
}

#if defined(__x86_64__)
// Shifts by any register, without flags: a third less time.
__attribute__((target("bmi,bmi2"))) std::uint64_t set_runs_bmi2(const Blocks& block, std::size_t count,
                                                                std::uint64_t base, std::uint64_t* groups) {
  return set_runs(block, count, base, groups);
}
#endif

SetRuns setter() {
#if defined(__x86_64__)
  static const SetRuns chosen = __builtin_cpu_supports("bmi2") != 0 ? &set_runs_bmi2 : &set_runs_plain;
  return chosen;
#else
  return &set_runs_plain;
#endif
}

// One by one, with numbers of any size.
void set_big_runs(Data data, std::uint64_t* groups) {
  gap_run::Runs runs(data);
  while (runs.left() != 0) {
    const auto [start, stop] = runs.next();
    for (std::uint64_t place = start; place != stop;) {
      const std::uint64_t group = place / kGroupPlaces;
      const std::uint64_t past = std::min(stop - group * kGroupPlaces, kGroupPlaces - 1);
      groups[group] |= ((std::uint64_t{1} << past) - 1) & (~std::uint64_t{0} << (place % kGroupPlaces));
      place = std::min(stop, (group + 1) * kGroupPlaces);
    }
  }
}

}  // namespace

namespace {

Parts parts_of(Data data) {
  const std::uint8_t* at = data.data();
  const std::uint64_t runs = read_varint(at);
  const std::uint64_t longer = read_varint(at);
  return laid_out(runs, longer, at);
}

}  // namespace

void GapRun::or_into(Data data, std::uint64_t* groups) {
  if (data.empty()) return;
  const Parts parts = parts_of(data);
  if (parts.bigs != data.data() + data.size()) return set_big_runs(data, groups);
  const SetRuns set = setter();
  Blocks blocks(parts);
  std::uint64_t base = 0;
  while (const std::size_t count = blocks.read(Blocks::kRuns)) base = set(blocks, count, base, groups);
}

Directory GapRun::directory_of(Data data) {
  constexpr std::size_t kRuns = Directory::kRuns;
  Directory out;
  out.leaps = false;
  if (data.empty() || data.size() > UINT32_MAX) return out;
  const Parts parts = parts_of(data);
  if (parts.bigs != data.data() + data.size()) return out;
  out.leaps = true;
  out.whole = {static_cast<std::uint32_t>(parts.lengths - parts.gaps),
               static_cast<std::uint32_t>(parts.longer),
               static_cast<std::uint32_t>(parts.bigs - parts.lengths)};
  out.positions.reserve(parts.runs / kRuns + 1);
  out.marks.reserve(parts.runs / kRuns + 1);
  Blocks blocks(parts);
  const std::uint8_t* gap_sizes = parts.gap_sizes;
  Directory::Mark mark{0, 0, 0};
  std::uint64_t base = 0;
  std::uint32_t length_quads = 0;
  while (const std::size_t count = blocks.read(kRuns)) {
    out.positions.push(base);
    out.marks.push(mark);
    for (std::size_t i = 0; i < count; ++i) {
      base += (blocks.gaps()[i] >> 1) + blocks.lengths()[i] + 1;
      mark.lengths += blocks.gaps()[i] & 1;
    }
    for (std::size_t quad = 0; quad < count / 4; ++quad) mark.gap_bytes += kQuadBytes[*gap_sizes++];
    for (; length_quads < mark.lengths / 4; ++length_quads)
      mark.length_bytes += kQuadBytes[parts.length_sizes[length_quads]];
  }
  return out;
}

namespace {

// Without adding up sizes again.
Parts known_parts(Data data, const Directory& directory) {
  Parts parts;
  const std::uint8_t* at = data.data();
  parts.runs = read_varint(at);
  parts.longer = read_varint(at);
  parts.gap_sizes = at;
  parts.length_sizes = at + (parts.runs + 3) / 4;
  parts.gaps = parts.length_sizes + (parts.longer + 3) / 4;
  parts.lengths = parts.gaps + directory.whole.gap_bytes;
  parts.bigs = parts.lengths + directory.whole.length_bytes;
  return parts;
}

}  // namespace

GapRun::Cursor::Cursor(Data data, std::uint64_t row_count, const Directory& directory)
    : blocks_(known_parts(data, directory)),
      directory_(&directory),
      groups_(group_count<Groups63>(row_count)) {
  load(0);
}

// Unpacks a block, the next one or any later one; false behind the last.
bool GapRun::Cursor::load(std::size_t block) {
  at_ = size_ = 0;
  if (block >= directory_->positions.size()) {
    block_ = directory_->positions.size();
    return false;
  }
  if (block != block_ + 1) blocks_.seek(block * Directory::kRuns, directory_->marks.data()[block]);
  block_ = block;
  size_ = blocks_.read(Directory::kRuns);
  std::uint64_t base = directory_->positions.data()[block];
  for (std::size_t i = 0; i < size_; ++i) {
    starts_[i] = base + (blocks_.gaps()[i] >> 1);
    stops_[i] = starts_[i] + blocks_.lengths()[i];
    base = stops_[i] + 1;
  }
  return true;
}

Run<Groups63> GapRun::Cursor::at(std::uint64_t group) {
  const std::uint64_t first = group * kGroupPlaces;
  for (;;) {
    while (at_ != size_ && stops_[at_] <= first) ++at_;
    if (at_ != size_) break;
    // The next block, or the last one that does not begin behind the group.
    std::size_t next = block_ + 1;
    const auto& positions = directory_->positions;
    if (next < positions.size() && positions.data()[next] <= first) next = directory_->find(next, first);
    if (!load(next)) return {0, groups_ - group};
  }
  const std::uint64_t start = starts_[at_];
  if (start >= first + kGroupPlaces) return {0, start / kGroupPlaces - group};
  if (start <= first) {
    if (const std::uint64_t full = (stops_[at_] - first + 1) / kGroupPlaces; full != 0)
      return {Groups63::kOnes, full};
  }
  return collected(first, first + kGroupPlaces);
}

// The group's rows, of all runs that reach into it.
Run<Groups63> GapRun::Cursor::collected(std::uint64_t first, std::uint64_t stop) {
  std::uint64_t word = 0;
  while (at_ != size_ || load(block_ + 1)) {
    if (starts_[at_] >= stop) break;
    const std::uint64_t from = std::max(starts_[at_], first) - first;
    const std::uint64_t to = std::min(stops_[at_], stop - 1) - first;
    word |= ((std::uint64_t{1} << to) - 1) & (~std::uint64_t{0} << from);
    if (stops_[at_] > stop) break;  // it goes on behind the group
    ++at_;
  }
  return {word, 1};
}

}  // namespace esker::bitmap
