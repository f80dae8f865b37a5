// The rows of a morsel, sorted by partition: two-byte references to rows that are still in the cache, not
// copies of them, so every value is moved once, straight to its page.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/arrow/batch_view.h"
#include "esker/shuffle/claim.h"
#include "esker/shuffle/partition_function.h"

namespace esker::shuffle {

constexpr std::int64_t kMorselRowsMax = 1 << 16;  // what two bytes can refer to

// A range of rows of one batch.
struct Morsel {
  const arrow::BatchView* batch;
  std::int64_t row_begin;
  std::int64_t row_count;
};

// Writes the bytes that the long values of each row take on a heap. Throws UnsupportedType for rows no page
// holds.
void measure_heap(const arrow::BatchView& batch, const std::vector<arrow::ColumnType>& columns,
                  std::int64_t row_begin, std::int64_t row_count, std::uint32_t* out);

class SortedMorsel {
 public:
  // Sorts the rows by partition, stably: one pass counts (the histogram), one places.
  void fill(const Morsel& morsel, const std::vector<arrow::ColumnType>& columns, bool has_views,
            const PartitionFunction& partition_of);

  const Morsel& morsel() const { return morsel_; }
  // The rows of partition p, relative to the morsel's first, are rows()[run(p).begin] to rows()[run(p).end -
  // 1].
  const std::uint16_t* rows() const { return rows_.data(); }
  RowRun run(std::uint32_t partition) const {
    return {partition, begins_[partition], begins_[partition + 1], has_views_ ? heap_ends_.data() : nullptr};
  }

  // An upper bound of what the references of one thread take.
  static std::uint64_t bytes_max(std::uint32_t partition_count, std::int64_t rows = kMorselRowsMax) {
    return static_cast<std::uint64_t>(rows) * (4 + 2 + 4 + 8) + std::uint64_t{partition_count} * (4 + 4);
  }

 private:
  void sort(std::uint32_t partition_count);

  Morsel morsel_{};
  bool has_views_ = false;
  std::vector<std::uint32_t> partitions_;
  std::vector<std::uint16_t> rows_;
  std::vector<std::uint32_t> begins_;
  std::vector<std::uint32_t> ends_;
  std::vector<std::uint32_t> row_heap_;
  std::vector<std::uint64_t> heap_ends_;
};

}  // namespace esker::shuffle
