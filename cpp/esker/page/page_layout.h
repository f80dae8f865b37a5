// Where the columns of a page lie: one 64-byte aligned region each, validity bits right before the values.
//
//   | header (64 B) | validity 0 | values 0 | validity 1 | values 1 | ... | free | <- heap |
#pragma once

#include <cstdint>
#include <vector>

#include "esker/arrow/column_type.h"

namespace esker::page {

constexpr std::uint64_t kHeaderBytes = 64;
constexpr std::uint64_t kRegionAlignment = 64;
// Offsets inside views are 32-bit and signed.
constexpr std::uint64_t kPageBytesMax = 0x7FFF'0000;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

// The columns every page of a shuffle has, and what a row of them takes.
class PageSchema {
 public:
  explicit PageSchema(std::vector<arrow::ColumnType> columns);

  const std::vector<arrow::ColumnType>& columns() const { return columns_; }
  // Equal for equal names, types and nullability, on every machine.
  std::uint64_t id() const { return id_; }
  bool has_views() const { return has_views_; }
  // Bits of a row in the regions, without padding and heap; at least 1.
  std::uint64_t row_bits() const { return row_bits_; }
  // The payload of `row_count` rows whose long values take `heap_bytes`.
  std::uint64_t payload_bytes(std::uint64_t row_count, std::uint64_t heap_bytes) const {
    return (row_count * row_bits_ + 7) / 8 + heap_bytes;
  }
  // Bytes up to the end of the last region of a page for `row_capacity` rows.
  std::uint64_t regions_end(std::uint64_t row_capacity) const;
  // The most rows whose regions end at or before `end`; 0 when not even one fits.
  std::uint64_t rows_below(std::uint64_t end) const;

 private:
  std::vector<arrow::ColumnType> columns_;
  std::uint64_t id_ = 0;
  std::uint64_t row_bits_ = 1;
  std::uint64_t region_count_ = 0;
  bool has_views_ = false;
};

struct Region {
  std::uint32_t validity = 0;  // 0: no validity bits
  std::uint32_t values = 0;
};

struct PageLayout {
  PageLayout(const PageSchema& schema, std::uint64_t page_bytes, std::uint32_t row_capacity);

  std::uint64_t page_bytes;
  std::uint32_t row_capacity;
  std::uint64_t regions_end;
  std::vector<Region> regions;
};

// Bytes that `count` values of a type take in its region.
std::uint64_t values_bytes(const arrow::ColumnType& type, std::uint64_t count);

// Bytes of a bitmap of `count` rows, in whole words, so that two threads may set bits of one word atomically.
inline std::uint64_t bitmap_bytes(std::uint64_t count) {
  return (count + 63) / 64 * 8;
}

}  // namespace esker::page
