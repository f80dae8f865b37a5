#include "esker/page/page_join.h"

#include <cassert>
#include <cstring>

#include "esker/arrow/batch_view.h"
#include "esker/error.h"
#include "esker/page/page_batch.h"

namespace esker::page {
namespace {

using arrow::ColumnType;
using arrow::Layout;
using arrow::load;
using arrow::Source;

constexpr std::uint64_t kViewBytes = 16;
// A short value lies in its view, behind the size; a copy of all of it, whatever its size, takes two moves.
constexpr std::int32_t kInlineMax = 12;

bool has_offsets(const ColumnType& type) {
  return type.layout == Layout::view && type.source != Source::views;
}

std::uint64_t offset_bytes(const ColumnType& type) {
  return type.source == Source::offsets64 ? 8 : 4;
}

const std::uint8_t* long_value(const Page& page, const std::uint8_t* view, std::int32_t size) {
  const std::uint64_t begin = load<std::uint32_t>(view + 12);
  if (begin + static_cast<std::uint64_t>(size) > page.layout->page_bytes) {
    throw PageCorrupt("a page has a value that lies outside of it");
  }
  return page.bytes + begin;
}

// Appends bits `0` to `count` of `source` to `target`, whose bits from `begin` on are zero.
void append_bits(std::uint8_t* target, std::uint64_t begin, const std::uint8_t* source, std::uint64_t count) {
  const auto shift = static_cast<unsigned>(begin % 8);
  std::uint8_t* out = target + begin / 8;
  for (std::uint64_t bit = 0; bit < count; bit += 8) {
    unsigned byte = source[bit / 8];
    if (count - bit < 8) byte &= (1U << (count - bit)) - 1;
    *out |= static_cast<std::uint8_t>(byte << shift);
    // The last byte's high part may be all there is for the next: only then is it touched.
    if (const unsigned high = byte << shift >> 8; high != 0) out[1] |= static_cast<std::uint8_t>(high);
    ++out;
  }
}

void append_ones(std::uint8_t* target, std::uint64_t begin, std::uint64_t count) {
  std::uint64_t bit = begin;
  const std::uint64_t end = begin + count;
  for (; bit < end && bit % 8 != 0; ++bit) target[bit / 8] |= static_cast<std::uint8_t>(1U << bit % 8);
  if (const std::uint64_t whole = (end - bit) / 8; whole > 0) {
    std::memset(target + bit / 8, 0xFF, whole);
    bit += whole * 8;
  }
  for (; bit < end; ++bit) target[bit / 8] |= static_cast<std::uint8_t>(1U << bit % 8);
}

// Gives the bytes behind `data` that were written.
template <class Offset>
std::uint64_t append_values(const Page& page, const Region& region, std::uint8_t* offsets, std::uint8_t* data,
                            std::uint64_t position) {
  const std::uint8_t* view = page.bytes + region.values;
  for (std::uint32_t row = 0; row < page.row_count; ++row, view += kViewBytes) {
    const auto size = load<std::int32_t>(view);
    if (size <= kInlineMax) {
      std::memcpy(data + position, view + 4, kInlineMax);
    } else {
      std::memcpy(data + position, long_value(page, view, size), static_cast<std::size_t>(size));
    }
    position += static_cast<std::uint64_t>(size);
    const auto end = static_cast<Offset>(position);
    std::memcpy(offsets + (std::uint64_t{row} + 1) * sizeof(Offset), &end, sizeof end);
  }
  return position;
}

std::uint64_t append_views(const Page& page, const Region& region, std::uint8_t* views, std::uint8_t* data,
                           std::uint64_t position) {
  std::memcpy(views, page.bytes + region.values, page.row_count * kViewBytes);
  for (std::uint32_t row = 0; row < page.row_count; ++row, views += kViewBytes) {
    const auto size = load<std::int32_t>(views);
    if (size <= kInlineMax) continue;
    std::memcpy(data + position, long_value(page, views, size), static_cast<std::size_t>(size));
    const auto begin = static_cast<std::int32_t>(position);
    std::memcpy(views + 12, &begin, sizeof begin);
    position += static_cast<std::uint64_t>(size);
  }
  return position;
}

// The bytes of the long values of a page's column, or of all its values.
std::uint64_t text_bytes(const Page& page, const Region& region, bool only_long) {
  const std::uint8_t* view = page.bytes + region.values;
  std::uint64_t bytes = 0;
  for (std::uint32_t row = 0; row < page.row_count; ++row, view += kViewBytes) {
    const auto size = load<std::int32_t>(view);
    if (size < 0) throw PageCorrupt("a page has a value of a negative size");
    if (!only_long || size > kInlineMax) bytes += static_cast<std::uint64_t>(size);
  }
  return bytes;
}

}  // namespace

bool came_as_held(const PageSchema& schema) {
  for (const ColumnType& type : schema.columns()) {
    if (has_offsets(type)) return false;
  }
  return true;
}

JoinPlan::JoinPlan(std::span<const Page> pages, const PageSchema& schema, Types types)
    : pages_(pages), schema_(schema), types_(types), columns_(schema.columns().size()) {
  for (const Page& page : pages) row_count_ += page.row_count;
  for (std::size_t index = 0; index < columns_.size(); ++index) {
    measure(index);
    place(index);
  }
}

bool JoinPlan::with_offsets(std::size_t index) const {
  return types_ == Types::came && has_offsets(schema_.columns()[index]);
}

void JoinPlan::measure(std::size_t index) {
  const ColumnType& type = schema_.columns()[index];
  Column& column = columns_[index];
  if (type.layout == Layout::none) {
    column.null_count = row_count_;
    return;
  }
  for (const Page& page : pages_) {
    const Region& region = page.layout->regions[index];
    if (region.validity != 0) column.null_count += null_count(page.bytes + region.validity, page.row_count);
    if (type.layout == Layout::view) column.data_bytes += text_bytes(page, region, !with_offsets(index));
  }
  // A view has 32 bits for the place of its bytes, whatever offsets they came with.
  const bool wide = with_offsets(index) && offset_bytes(type) == 8;
  if (column.data_bytes > kPageBytesMax && !wide) {
    throw PageCorrupt("a page has values that take more than the page");
  }
}

void JoinPlan::place(std::size_t index) {
  const ColumnType& type = schema_.columns()[index];
  Column& column = columns_[index];
  if (type.layout == Layout::none) return;
  if (column.null_count > 0) column.validity = take(bitmap_bytes(row_count_));
  column.values = with_offsets(index) ? take((std::uint64_t{row_count_} + 1) * offset_bytes(type))
                                      : take(values_bytes(type, row_count_));
  // A short value is copied whole, whatever its size.
  if (type.layout == Layout::view) column.data = take(column.data_bytes + kInlineMax);
}

std::uint64_t JoinPlan::take(std::uint64_t bytes) {
  const std::uint64_t begin = bytes_;
  bytes_ += round_up(bytes, kRegionAlignment);
  return begin;
}

void JoinPlan::run(std::uint8_t* memory, std::shared_ptr<void> owner, ArrowArray* out) const {
  std::vector<BatchColumn> exported(columns_.size());
  for (std::size_t index = 0; index < columns_.size(); ++index) {
    copy(index, memory);
    const ColumnType& type = schema_.columns()[index];
    const Column& column = columns_[index];
    BatchColumn& into = exported[index];
    into.null_count = column.null_count;
    if (type.layout == Layout::none) continue;
    into.buffers = {column.null_count > 0 ? memory + column.validity : nullptr, memory + column.values,
                    nullptr, nullptr};
    into.buffer_count = 2;
    if (type.layout != Layout::view) continue;
    into.buffers[2] = memory + column.data;
    into.buffer_count = with_offsets(index) ? 3 : 4;
    into.data_bytes = static_cast<std::int64_t>(column.data_bytes);
  }
  export_columns(std::move(exported), row_count_, std::move(owner), out);
}

void JoinPlan::copy(std::size_t index, std::uint8_t* memory) const {
  const ColumnType& type = schema_.columns()[index];
  if (type.layout == Layout::none) return;
  const Column& column = columns_[index];
  std::uint8_t* const values = memory + column.values;
  std::uint8_t* const data = memory + column.data;
  if (column.null_count > 0) std::memset(memory + column.validity, 0, bitmap_bytes(row_count_));
  if (type.layout == Layout::bits) std::memset(values, 0, bitmap_bytes(row_count_));
  if (with_offsets(index)) std::memset(values, 0, offset_bytes(type));
  std::uint64_t row = 0;
  std::uint64_t position = 0;
  for (const Page& page : pages_) {
    const Region& region = page.layout->regions[index];
    if (column.null_count > 0) {
      if (region.validity != 0)
        append_bits(memory + column.validity, row, page.bytes + region.validity, page.row_count);
      else
        append_ones(memory + column.validity, row, page.row_count);
    }
    if (type.layout == Layout::bits) {
      append_bits(values, row, page.bytes + region.values, page.row_count);
    } else if (type.layout == Layout::fixed) {
      std::memcpy(values + values_bytes(type, row), page.bytes + region.values,
                  values_bytes(type, page.row_count));
    } else if (!with_offsets(index)) {
      position = append_views(page, region, values + row * kViewBytes, data, position);
    } else if (type.source == Source::offsets64) {
      position = append_values<std::int64_t>(page, region, values + row * 8, data, position);
    } else {
      position = append_values<std::int32_t>(page, region, values + row * 4, data, position);
    }
    row += page.row_count;
  }
}

}  // namespace esker::page
