#include "esker/shuffle/staging.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "esker/memory/stream_copy.h"
#include "esker/memory/strided_copy.h"
#include "esker/shuffle/bit_writer.h"
#include "esker/shuffle/view.h"

namespace esker::shuffle {
namespace {

using arrow::ColumnType;
using arrow::ColumnView;
using arrow::Layout;
using arrow::Source;

constexpr std::uint32_t kRowsMin = 16;
constexpr std::uint32_t kRowsMax = 1024;
constexpr std::uint32_t kHeapMin = 512;
constexpr std::uint32_t kHeapMax = 16 << 10;
constexpr std::size_t kHugePageBytes = 2 << 20;
constexpr std::size_t kSmallPageBytes = 4096;
// Buffers fill up evenly. Were they a power of two apart, the lines in use would all fall on a few sets of
// the cache: with these gaps staging 4-byte rows takes half the time.
// Rows that are prepended have their place in the gap before a buffer.
constexpr std::uint32_t kGapRows = 20;
static_assert(kGapRows >= Staging::kBeforeMax);
constexpr std::uint32_t kGapBytes = 192;
// Copies of rows read up to one line of rows behind the last.
constexpr std::size_t kReadBehindBytes = 64;

// Values of 12 bytes lie 16 apart: stores that cross a line cost more than the room.
std::uint32_t stride_of(const ColumnType& type) {
  switch (type.layout) {
    case Layout::none:
      return 0;
    case Layout::bits:
      return 1;
    case Layout::view:
      return sizeof(View);
    case Layout::fixed:
      return type.width == 12 ? 16 : type.width;
  }
  return 0;
}

std::uint64_t row_bytes(const page::PageSchema& schema) {
  std::uint64_t bytes = schema.has_views() ? sizeof(std::uint64_t) : 0;
  for (const ColumnType& type : schema.columns()) bytes += stride_of(type) + (type.nullable ? 1U : 0U);
  return std::max<std::uint64_t>(bytes, 1);
}

std::uint64_t heap_share(std::uint32_t partition_count, std::uint64_t bytes) {
  return std::clamp<std::uint64_t>(bytes / partition_count / 64 * 64, kHeapMin, kHeapMax);
}

std::uint64_t rows_share(const page::PageSchema& schema, std::uint32_t partition_count, std::uint64_t bytes) {
  return std::clamp<std::uint64_t>(std::bit_floor(bytes / (partition_count * row_bytes(schema)) | 1),
                                   kRowsMin, kRowsMax);
}

// The 32-bit words of a row whose columns can lie together in a buffer; 0 when they cannot.
std::uint32_t packed_words(const page::PageSchema& schema) {
  std::uint32_t bytes = 0;
  for (const ColumnType& type : schema.columns()) {
    if (type.layout != Layout::fixed || type.width == 0 || type.width % 4 != 0) return 0;
    bytes += type.width;
  }
  return bytes <= 16 ? bytes / 4 : 0;
}

template <std::size_t width>
void scatter(std::uint8_t* to, const std::uint8_t* from, const std::uint32_t* slots, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    std::memcpy(to + std::size_t{slots[i]} * width, from + std::size_t{i} * width, width);
  }
}

// 16 bytes at a time, the last four are the next value's; but for the last, behind which there may be
// nothing.
void scatter_12(std::uint8_t* to, const std::uint8_t* from, const std::uint32_t* slots, std::uint32_t count) {
  for (std::uint32_t i = 0; i + 1 < count; ++i) {
    std::memcpy(to + std::size_t{slots[i]} * 16, from + std::size_t{i} * 12, 16);
  }
  if (count > 0) std::memcpy(to + std::size_t{slots[count - 1]} * 16, from + std::size_t{count - 1} * 12, 12);
}

void scatter_any(std::uint8_t* to, const std::uint8_t* from, const std::uint32_t* slots, std::uint32_t count,
                 std::size_t width) {
  if (width == 0) return;
  for (std::uint32_t i = 0; i < count; ++i)
    memory::copy_short(to + slots[i] * width, from + i * width, width);
}

void scatter_fixed(std::uint8_t* to, const std::uint8_t* from, const std::uint32_t* slots,
                   std::uint32_t count, std::uint32_t width) {
  switch (width) {
    case 1:
      return scatter<1>(to, from, slots, count);
    case 2:
      return scatter<2>(to, from, slots, count);
    case 4:
      return scatter<4>(to, from, slots, count);
    case 8:
      return scatter<8>(to, from, slots, count);
    case 12:
      return scatter_12(to, from, slots, count);
    case 16:
      return scatter<16>(to, from, slots, count);
    default:
      return scatter_any(to, from, slots, count, width);
  }
}

std::uint32_t greatest(const std::vector<std::uint32_t>& values) {
  std::uint32_t found = 0;
  for (const std::uint32_t value : values) found = value > found ? value : found;
  return found;
}

}  // namespace

StagingShape StagingShape::of(const page::PageSchema& schema, std::uint32_t partition_count,
                              std::uint64_t bytes, double heap_per_row) {
  if (!schema.has_views()) {
    return {static_cast<std::uint32_t>(rows_share(schema, partition_count, bytes)), 0};
  }
  // Rows and bytes should fill up together; twice the rows, since some have less.
  const std::uint64_t heap_max = heap_share(partition_count, bytes);
  const auto rows =
      static_cast<std::uint64_t>(2.0 * static_cast<double>(heap_max) / std::max(heap_per_row, 1.0));
  const std::uint64_t rows_max = rows_share(schema, partition_count, bytes / 2);
  return {static_cast<std::uint32_t>(std::clamp<std::uint64_t>(std::bit_ceil(rows), kRowsMin, rows_max)),
          static_cast<std::uint32_t>(heap_max)};
}

std::uint64_t Staging::bytes_max(const page::PageSchema& schema, std::uint32_t partition_count,
                                 std::uint64_t bytes) {
  const std::uint64_t rows = rows_share(schema, partition_count, bytes);
  const std::uint64_t heap = schema.has_views() ? heap_share(partition_count, bytes) : 0;
  const std::uint64_t buffers =
      partition_count * ((rows + kGapRows) * row_bytes(schema) + heap + kGapBytes + 12) +
      kGapRows * row_bytes(schema);
  // Only what is that large is rounded to huge pages: within 16 MiB two of them would be half of a shuffle.
  const std::uint64_t rounding =
      buffers >= kHugePageBytes ? 2 * kHugePageBytes : (schema.columns().size() + 1) * kSmallPageBytes;
  return buffers + StagingBlock::kRowsMax * 20 + rounding;
}

void Staging::Free::operator()(std::uint8_t* bytes) const {
  std::free(bytes);
}

Staging::Bytes Staging::allocate(std::size_t size) {
  // Buffers of all partitions are in use at a time: with small memory pages they would outnumber what the TLB
  // knows.
  const std::size_t alignment = size >= kHugePageBytes ? kHugePageBytes : kSmallPageBytes;
  const std::size_t rounded = page::round_up(std::max<std::size_t>(size, 1), alignment);
  auto* const memory = static_cast<std::uint8_t*>(std::aligned_alloc(alignment, rounded));
  if (memory == nullptr) throw std::bad_alloc();
  if (alignment == kHugePageBytes) madvise(memory, rounded, MADV_HUGEPAGE);
  return Bytes(memory);
}

Staging::Staging(const page::PageSchema& schema, std::uint32_t partition_count, StagingShape shape)
    : schema_(schema),
      shape_(shape),
      has_views_(schema.has_views()),
      row_words_(packed_words(schema)),
      row_stride_(row_words_ == 3 ? 16 : row_words_ * 4),
      heap_stride_(shape.heap_max + kGapBytes),
      slot_count_(kGapRows + std::size_t{partition_count} * (shape.rows_max + kGapRows)),
      heap_(partition_count) {
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    first_slot_.push_back(kGapRows + p * (shape.rows_max + kGapRows));
  }
  next_slot_ = first_slot_;
  for (const std::uint32_t slot : first_slot_) end_slot_.push_back(slot + shape.rows_max);
  allocate_columns();
  if (!has_views_) return;
  heap_bytes_ = allocate(partition_count * heap_stride_);
  heap_ends_.resize(slot_count_);
}

void Staging::allocate_columns() {
  if (packed()) packed_rows_ = allocate(slot_count_ * row_stride_ + kReadBehindBytes);
  std::uint32_t offset = 0;
  for (const ColumnType& type : schema_.columns()) {
    Column& column = columns_.emplace_back();
    if (packed()) {
      column.stride = row_stride_;
      column.offset = offset;
      column.values = packed_rows_.get();
      offset += type.width;
    } else {
      column.stride = stride_of(type);
      column.owned = allocate(slot_count_ * column.stride + kReadBehindBytes);
      column.values = column.owned.get();
    }
  }
}

bool Staging::takes_packed(const arrow::BatchView& batch) const {
  if (!packed()) return false;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (batch.columns[i].validity != nullptr || columns_[i].validity != nullptr) return false;
  }
  return true;
}

// Where the 32-bit words of rows come from.
struct PackedSource {
  const std::uint8_t* words[4];
  std::size_t strides[4];
};

// Gives rows a slot one by one and lets `store` put the next row there; says how many found room.
template <class Store>
std::uint32_t Staging::take_each(std::uint32_t count, const std::uint32_t* partitions, Store store) {
  std::uint32_t* const next_slot = next_slot_.data();
  const std::uint32_t* const end_slot = end_slot_.data();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t partition = partitions[i];
    const std::uint32_t slot = next_slot[partition];
    if (slot == end_slot[partition]) return i;
    store(slot);
    next_slot[partition] = slot + 1;
  }
  return count;
}

// Two words at a time; from one column they are read together.
template <bool low_whole, bool high_whole>
std::uint32_t Staging::take_rows(const PackedSource& source, std::uint32_t count,
                                 const std::uint32_t* partitions) {
  const std::uint8_t* word0 = source.words[0];
  const std::uint8_t* word1 = source.words[1];
  const std::uint8_t* word2 = source.words[2];
  const std::uint8_t* word3 = source.words[3];
  const std::size_t stride0 = source.strides[0];
  [[maybe_unused]] const std::size_t stride1 = source.strides[1];
  const std::size_t stride2 = source.strides[2];
  [[maybe_unused]] const std::size_t stride3 = source.strides[3];
  const auto both = [](const std::uint8_t* low, const std::uint8_t* high) {
    return std::uint64_t{arrow::load<std::uint32_t>(low)} | std::uint64_t{arrow::load<std::uint32_t>(high)}
                                                                << 32;
  };
  std::uint8_t* const rows = packed_rows_.get();
  return take_each(count, partitions, [&, rows](std::uint32_t slot) {
    std::uint64_t pair[2];
    pair[0] = low_whole ? arrow::load<std::uint64_t>(word0) : both(word0, word1);
    pair[1] = high_whole ? arrow::load<std::uint64_t>(word2) : both(word2, word3);
    std::memcpy(rows + std::size_t{slot} * 16, pair, sizeof pair);
    word0 += stride0;
    word2 += stride2;
    if constexpr (!low_whole) word1 += stride1;
    if constexpr (!high_whole) word3 += stride3;
  });
}

std::uint32_t Staging::take_packed(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count,
                                   const std::uint32_t* partitions) {
  PackedSource source{};
  bool follows[4] = {};  // the word lies right behind the one before, in the same column
  std::uint32_t words = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const std::uint32_t width = schema_.columns()[i].width;
    const std::uint8_t* from =
        batch.columns[i].values + (batch.columns[i].offset + row_begin) * std::int64_t{width};
    for (std::uint32_t done = 0; done < width; done += 4, ++words) {
      source.words[words] = from + done;
      source.strides[words] = width;
      follows[words] = done > 0;
    }
  }
  std::uint8_t* const rows = packed_rows_.get();
  const std::uint8_t* word0 = source.words[0];
  const std::uint8_t* word1 = source.words[1];
  if (words == 1) {
    return take_each(count, partitions, [&word0, rows](std::uint32_t slot) {
      std::memcpy(rows + std::size_t{slot} * 4, word0, 4);
      word0 += 4;
    });
  }
  if (words == 2) {
    const std::size_t stride0 = source.strides[0];
    const std::size_t stride1 = source.strides[1];
    return take_each(count, partitions, [&word0, &word1, rows, stride0, stride1](std::uint32_t slot) {
      std::memcpy(rows + std::size_t{slot} * 8, word0, 4);
      std::memcpy(rows + std::size_t{slot} * 8 + 4, word1, 4);
      word0 += stride0;
      word1 += stride1;
    });
  }
  // A fourth word that is not there may be anything.
  if (words == 3) source.words[3] = source.words[2], source.strides[3] = source.strides[2];
  const bool high = words == 4 && follows[3];
  if (follows[1])
    return high ? take_rows<true, true>(source, count, partitions)
                : take_rows<true, false>(source, count, partitions);
  return high ? take_rows<false, true>(source, count, partitions)
              : take_rows<false, false>(source, count, partitions);
}

std::uint64_t Staging::row_count() const {
  std::uint64_t found = 0;
  for (std::size_t p = 0; p < first_slot_.size(); ++p) found += next_slot_[p] - first_slot_[p];
  return found;
}

std::uint32_t Staging::fullest_rows() const {
  std::uint32_t found = 0;
  for (std::size_t p = 0; p < first_slot_.size(); ++p) {
    const std::uint32_t rows = next_slot_[p] - first_slot_[p];
    found = rows > found ? rows : found;
  }
  return found;
}

std::uint32_t Staging::fullest_heap() const {
  return has_views_ ? greatest(heap_) : 0;
}

void StagingBlock::measure(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count,
                           const page::PageSchema& schema, const PartitionFunction& partition_of) {
  partition_of(batch, row_begin, count, partitions.data());
  if (schema.has_views()) measure_heap(batch, schema.columns(), row_begin, count, heap.data());
}

bool Staging::take(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count,
                   StagingBlock& block) {
  if (!assign(count, block)) return false;
  copy_in(batch, row_begin, count, block);
  return true;
}

void Staging::copy_in(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count,
                      StagingBlock& block) {
  for (std::size_t i = 0; i < columns_.size(); ++i)
    stage_column(i, batch.columns[i], row_begin, count, block);
}

void Staging::prepare(const arrow::BatchView& batch) {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const ColumnType& type = schema_.columns()[i];
    const bool kept = type.nullable && type.layout != Layout::none;
    if (kept && batch.columns[i].validity != nullptr) allocate_validity(columns_[i]);
  }
}

// Gives each row its slot and the place of its long values; undone when a buffer would overflow.
bool Staging::assign(std::uint32_t count, StagingBlock& block) {
  const std::uint32_t* const partitions = block.partitions.data();
  std::uint32_t* const slots = block.slots.data();
  std::uint32_t* const next_slot = next_slot_.data();
  const auto too_long = [this](std::uint32_t bytes) { return bytes > shape_.heap_max; };
  if (has_views_ && std::any_of(block.heap.data(), block.heap.data() + count, too_long)) return false;
  for (std::uint32_t i = 0; i < count; ++i) slots[i] = next_slot[partitions[i]]++;
  bool fits = fullest_rows() <= shape_.rows_max;
  if (fits && has_views_) {
    for (std::uint32_t i = 0; i < count; ++i) {
      block.places[i] = heap_[partitions[i]];
      heap_[partitions[i]] += block.heap[i];
    }
    fits = fullest_heap() <= shape_.heap_max;
    if (!fits) {
      for (std::uint32_t i = 0; i < count; ++i) heap_[partitions[i]] -= block.heap[i];
    }
  }
  if (!fits) {
    for (std::uint32_t i = 0; i < count; ++i) --next_slot[partitions[i]];
    return false;
  }
  if (has_views_) {
    for (std::uint32_t i = 0; i < count; ++i) heap_ends_[slots[i]] = block.places[i] + block.heap[i];
  }
  return true;
}

void Staging::place(std::uint32_t count, StagingBlock& block, std::uint32_t* next_slot, std::uint32_t* heap) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t partition = block.partitions[i];
    block.slots[i] = next_slot[partition]++;
    if (!has_views_) continue;
    block.places[i] = heap[partition];
    heap[partition] += block.heap[i];
    heap_ends_[block.slots[i]] = heap[partition];
  }
}

void Staging::stage_column(std::size_t index, const ColumnView& column, std::int64_t row_begin,
                           std::uint32_t count, StagingBlock& block) {
  const ColumnType& type = schema_.columns()[index];
  Column& staged = columns_[index];
  if (type.layout == Layout::none) return;
  const std::uint32_t* const slots = block.slots.data();
  if (type.nullable && (staged.validity != nullptr || column.validity != nullptr)) {
    allocate_validity(staged);
    for (std::uint32_t i = 0; i < count; ++i) staged.validity[slots[i]] = column.valid(row_begin + i) ? 1 : 0;
  }
  switch (type.source) {
    case Source::none:
      return;
    case Source::bits:
      for (std::uint32_t i = 0; i < count; ++i) {
        staged.values[slots[i]] = arrow::bit_at(column.values, column.offset + row_begin + i) ? 1 : 0;
      }
      return;
    case Source::fixed: {
      const auto* from = column.values + (column.offset + row_begin) * std::int64_t{type.width};
      if (!packed()) return scatter_fixed(staged.values, from, slots, count, type.width);
      for (std::uint32_t i = 0; i < count; ++i) {
        memory::copy_short(staged.values + std::size_t{slots[i]} * staged.stride + staged.offset,
                           from + std::size_t{i} * type.width, type.width);
      }
      return;
    }
    case Source::offsets32:
      return stage_views<Source::offsets32>(staged, column, row_begin, count, block);
    case Source::offsets64:
      return stage_views<Source::offsets64>(staged, column, row_begin, count, block);
    case Source::views:
      return stage_views<Source::views>(staged, column, row_begin, count, block);
  }
}

// Until the first null comes, no row's validity is kept.
void Staging::allocate_validity(Column& staged) {
  if (staged.validity != nullptr) return;
  staged.validity = allocate(slot_count_);
  std::memset(staged.validity.get(), 1, slot_count_);
}

// Long values go to the buffer's heap; offsets count from its begin until the page is known.
template <Source source>
void Staging::stage_views(Column& staged, const ColumnView& column, std::int64_t row_begin,
                          std::uint32_t count, StagingBlock& block) {
  std::uint8_t* const views = staged.values;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint8_t* const view = views + std::size_t{block.slots[i]} * sizeof(View);
    if (!column.valid(row_begin + i)) {
      std::memset(view, 0, sizeof(View));
      continue;
    }
    const arrow::Bytes value = arrow::bytes_at<source>(column, row_begin + i);
    std::uint64_t& place = block.places[i];
    write_view(view, value, place);
    if (value.size <= kInlineBytesMax) continue;
    memory::copy_short(heap_of(block.partitions[i]) + place, value.data,
                       static_cast<std::size_t>(value.size));
    place += static_cast<std::uint64_t>(value.size);
  }
}

void Staging::keep_from(std::uint32_t partition, std::uint32_t first) {
  const std::uint32_t left = rows(partition) - first;
  std::uint8_t* const rows = packed_rows_.get() + std::size_t{first_slot_[partition]} * row_stride_;
  if (left > 0) std::memmove(rows, rows + std::size_t{first} * row_stride_, std::size_t{left} * row_stride_);
  next_slot_[partition] = first_slot_[partition] + left;
}

void Staging::prepend(std::uint32_t partition, const std::uint8_t* rows, std::uint32_t count) {
  first_slot_[partition] -= count;
  std::memcpy(packed_rows_.get() + std::size_t{first_slot_[partition]} * row_stride_, rows,
              std::size_t{count} * row_stride_);
}

std::uint32_t Staging::move_rest(std::uint32_t partition, std::uint32_t first, std::uint8_t* out) {
  const std::uint32_t left = rows(partition) - first;
  const std::uint32_t slot = first_slot_[partition] + first;
  std::memcpy(out, packed_rows_.get() + std::size_t{slot} * row_stride_, std::size_t{left} * row_stride_);
  next_slot_[partition] = slot;
  return left;
}

void Staging::write(const std::vector<Claim>& claims, const WriteOptions& options) {
  for (const Claim& claim : claims) {
    for (std::size_t i = 0; i < columns_.size(); ++i)
      write_bits(claim, i, first_slot(claim), claim.row_count);
  }
  for (const Claim& claim : claims) {
    options.two_step ? write_columns(claim, options.streaming) : write_row_by_row(claim);
  }
}

// Slots first, then the bytes of long values.
void Staging::write_columns(const Claim& claim, bool streaming) {
  const std::size_t first = first_slot(claim);
  const std::int64_t heap_shift = shift_of(claim);
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    write_values(claim, i, first, heap_shift, claim.row_begin, claim.row_count, streaming);
  }
  if (!has_views_) return;
  memory::copy(claim.bytes + claim.heap_next, heap_of(claim.partition) + heap_before(claim), claim.heap_bytes,
               streaming);
}

void Staging::write_row_by_row(const Claim& claim) {
  const std::size_t first = first_slot(claim);
  const std::int64_t heap_shift = shift_of(claim);
  std::uint64_t heap_begin = has_views_ ? heap_before(claim) : 0;
  for (std::uint32_t row = 0; row < claim.row_count; ++row) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      write_values(claim, i, first + row, heap_shift, claim.row_begin + row, 1, false);
    }
    if (!has_views_) continue;
    const std::uint64_t heap_end = heap_ends_[first + row];
    memory::copy(claim.bytes + static_cast<std::int64_t>(heap_begin) + heap_shift,
                 heap_of(claim.partition) + heap_begin, heap_end - heap_begin, false);
    heap_begin = heap_end;
  }
}

void Staging::write_bits(const Claim& claim, std::size_t index, std::size_t first, std::uint32_t count) {
  const Column& staged = columns_[index];
  const page::Region& region = claim.layout->regions[index];
  if (staged.validity != nullptr) {
    BitWriter<Bits::clear> out(claim.bytes + region.validity, claim.row_begin);
    for (std::uint32_t i = 0; i < count; ++i) out.add(staged.validity[first + i] == 0);
  }
  if (schema_.columns()[index].layout != Layout::bits) return;
  BitWriter<Bits::set> out(claim.bytes + region.values, claim.row_begin);
  for (std::uint32_t i = 0; i < count; ++i) out.add(staged.values[first + i] != 0);
}

void Staging::write_values(const Claim& claim, std::size_t index, std::size_t first, std::int64_t heap_shift,
                           std::uint32_t row_begin, std::uint32_t count, bool streaming) {
  const ColumnType& type = schema_.columns()[index];
  Column& staged = columns_[index];
  if (type.layout == Layout::none || type.layout == Layout::bits) return;
  std::uint8_t* const from = staged.values + first * staged.stride;
  std::uint8_t* const to = claim.bytes + claim.layout->regions[index].values;
  if (type.layout == Layout::view && heap_shift != 0) {
    for (std::uint32_t i = 0; i < count; ++i) {
      View view;
      std::memcpy(&view, from + i * sizeof view, sizeof view);
      if (view.size <= kInlineBytesMax) continue;
      view.offset = static_cast<std::uint32_t>(view.offset + heap_shift);
      std::memcpy(from + i * sizeof view, &view, sizeof view);
    }
  }
  if (staged.stride == type.width || type.layout == Layout::view) {
    memory::copy(to + std::size_t{row_begin} * staged.stride, from, std::size_t{count} * staged.stride,
                 streaming);
    return;
  }
  memory::copy_column(to + std::size_t{row_begin} * type.width, from,
                      {staged.offset, staged.stride, type.width}, count, streaming);
}

}  // namespace esker::shuffle
