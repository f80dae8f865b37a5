#include "esker/page/page_layout.h"

#include <cassert>

#include "esker/hash/row_hash.h"

namespace esker::page {
namespace {

using arrow::ColumnType;
using arrow::Layout;

std::uint64_t text_hash(const std::string& text) {
  return hash::hash_bytes(reinterpret_cast<const std::uint8_t*>(text.data()),
                          static_cast<std::int64_t>(text.size()));
}

std::uint64_t value_bits(const ColumnType& type) {
  switch (type.layout) {
    case Layout::none:
      return 0;
    case Layout::bits:
      return 1;
    default:
      return std::uint64_t{type.width} * 8;
  }
}

bool has_validity(const ColumnType& type) {
  return type.nullable && type.layout != Layout::none;
}

}  // namespace

std::uint64_t values_bytes(const ColumnType& type, std::uint64_t count) {
  return type.layout == Layout::bits ? bitmap_bytes(count) : value_bits(type) / 8 * count;
}

PageSchema::PageSchema(std::vector<ColumnType> columns) : columns_(std::move(columns)) {
  std::uint64_t bits = 0;
  for (const ColumnType& column : columns_) {
    id_ = hash::mix(id_ + text_hash(column.name));
    id_ = hash::mix(id_ + text_hash(column.format) + static_cast<std::uint64_t>(column.nullable));
    bits += value_bits(column) + static_cast<std::uint64_t>(has_validity(column));
    region_count_ += 1 + static_cast<std::uint64_t>(has_validity(column));
    has_views_ = has_views_ || column.layout == Layout::view;
  }
  if (bits > 0) row_bits_ = bits;
}

std::uint64_t PageSchema::regions_end(std::uint64_t row_capacity) const {
  std::uint64_t end = kHeaderBytes;
  for (const ColumnType& column : columns_) {
    if (has_validity(column)) end += round_up(bitmap_bytes(row_capacity), kRegionAlignment);
    end += round_up(values_bytes(column, row_capacity), kRegionAlignment);
  }
  return end;
}

std::uint64_t PageSchema::rows_below(std::uint64_t end) const {
  if (regions_end(1) > end) return 0;
  // Without padding at most these fit; padding costs less than one alignment a region.
  std::uint64_t above = (end - kHeaderBytes) * 8 / row_bits_ + 1;
  const std::uint64_t padding = region_count_ * kRegionAlignment;
  std::uint64_t rows = end > kHeaderBytes + padding ? (end - kHeaderBytes - padding) * 8 / row_bits_ : 1;
  rows = rows > 0 && regions_end(rows) <= end ? rows : 1;
  while (rows + 1 < above) {
    const std::uint64_t middle = rows + (above - rows) / 2;
    if (regions_end(middle) <= end) {
      rows = middle;
    } else {
      above = middle;
    }
  }
  return rows;
}

PageLayout::PageLayout(const PageSchema& schema, std::uint64_t page_bytes_, std::uint32_t row_capacity_)
    : page_bytes(page_bytes_), row_capacity(row_capacity_) {
  std::uint64_t end = kHeaderBytes;
  regions.reserve(schema.columns().size());
  for (const ColumnType& column : schema.columns()) {
    Region region;
    if (has_validity(column)) {
      region.validity = static_cast<std::uint32_t>(end);
      end += round_up(bitmap_bytes(row_capacity), kRegionAlignment);
    }
    region.values = static_cast<std::uint32_t>(end);
    end += round_up(values_bytes(column, row_capacity), kRegionAlignment);
    regions.push_back(region);
  }
  regions_end = end;
  assert(regions_end <= page_bytes && page_bytes <= kPageBytesMax);
}

}  // namespace esker::page
