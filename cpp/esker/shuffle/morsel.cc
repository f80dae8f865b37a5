#include "esker/shuffle/morsel.h"

#include <algorithm>

#include "esker/error.h"
#include "esker/page/page_layout.h"
#include "esker/shuffle/view.h"

namespace esker::shuffle {
namespace {

using arrow::ColumnType;
using arrow::ColumnView;
using arrow::Source;

[[noreturn]] void too_long(const ColumnType& type) {
  throw UnsupportedType("column '" + type.name + "': a row of 2 GiB or more does not fit a page");
}

template <Source source>
void add_lengths(const ColumnView& column, const ColumnType& type, std::int64_t row_begin,
                 std::int64_t row_count, std::uint32_t* out) {
  for (std::int64_t i = 0; i < row_count; ++i) {
    if (!column.valid(row_begin + i)) continue;
    const std::int64_t size = arrow::bytes_at<source>(column, row_begin + i).size;
    if (size <= kInlineBytesMax) continue;
    const auto sum = static_cast<std::uint64_t>(size) + out[i];
    if (sum > page::kPageBytesMax / 2) too_long(type);
    out[i] = static_cast<std::uint32_t>(sum);
  }
}

}  // namespace

void measure_heap(const arrow::BatchView& batch, const std::vector<ColumnType>& columns,
                  std::int64_t row_begin, std::int64_t row_count, std::uint32_t* out) {
  std::fill(out, out + row_count, 0);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const ColumnView& column = batch.columns[i];
    switch (columns[i].source) {
      case Source::offsets32:
        add_lengths<Source::offsets32>(column, columns[i], row_begin, row_count, out);
        break;
      case Source::offsets64:
        add_lengths<Source::offsets64>(column, columns[i], row_begin, row_count, out);
        break;
      case Source::views:
        add_lengths<Source::views>(column, columns[i], row_begin, row_count, out);
        break;
      default:
        break;
    }
  }
}

void SortedMorsel::fill(const Morsel& morsel, const std::vector<ColumnType>& columns, bool has_views,
                        const PartitionFunction& partition_of) {
  morsel_ = morsel;
  has_views_ = has_views;
  const auto row_count = static_cast<std::size_t>(morsel.row_count);
  partitions_.resize(row_count);
  rows_.resize(row_count);
  partition_of(*morsel.batch, morsel.row_begin, morsel.row_count, partitions_.data());
  sort(partition_of.partition_count());
  if (!has_views) return;
  row_heap_.resize(row_count);
  heap_ends_.resize(row_count);
  measure_heap(*morsel.batch, columns, morsel.row_begin, morsel.row_count, row_heap_.data());
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < row_count; ++i) heap_ends_[i] = end += row_heap_[rows_[i]];
}

void SortedMorsel::sort(std::uint32_t partition_count) {
  begins_.assign(partition_count + 1, 0);
  for (const std::uint32_t partition : partitions_) ++begins_[partition + 1];
  for (std::uint32_t p = 0; p < partition_count; ++p) begins_[p + 1] += begins_[p];
  ends_.assign(begins_.begin(), begins_.end() - 1);
  for (std::size_t row = 0; row < partitions_.size(); ++row) {
    rows_[ends_[partitions_[row]]++] = static_cast<std::uint16_t>(row);
  }
}

}  // namespace esker::shuffle
