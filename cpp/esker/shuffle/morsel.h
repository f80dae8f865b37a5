// A thread's buffers: the rows of a morsel, gathered by partition.
//
// A buffer holds two-byte references to rows that are still in the cache, not copies of them, so every value
// is moved once, straight to its page. All buffers of a thread are one array, cut where the partitions begin.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/arrow/batch_view.h"
#include "esker/shuffle/partition_function.h"

namespace esker::shuffle {

constexpr std::int64_t kMorselRowsMax = 1 << 16;  // what two bytes can refer to

// A range of rows of one batch.
struct Morsel {
  const arrow::BatchView* batch;
  std::int64_t row_begin;
  std::int64_t row_count;
};

class MorselBuffers {
 public:
  // Sorts the rows by partition, stably, and measures the bytes their long values take on a heap.
  void fill(const Morsel& morsel, const std::vector<arrow::ColumnType>& columns, bool has_views,
            const PartitionFunction& partition_of);

  const Morsel& morsel() const { return morsel_; }
  // Rows of a partition, relative to the morsel's first, are rows()[begin(p)] to rows()[begin(p + 1) - 1].
  const std::uint16_t* rows() const { return rows_.data(); }
  std::uint32_t begin(std::uint32_t partition) const { return begins_[partition]; }
  std::uint64_t heap_bytes(std::uint32_t partition) const {
    return has_views_ ? partition_heap_[partition] : 0;
  }
  std::uint64_t row_heap_bytes(std::uint16_t row) const { return has_views_ ? row_heap_[row] : 0; }

  // An upper bound of what the buffers of one thread take.
  static std::uint64_t bytes_max(std::uint32_t partition_count) {
    return kMorselRowsMax * (4 + 2 + 4) + std::uint64_t{partition_count} * (4 + 4 + 8 + 32);
  }

 private:
  void sort(std::uint32_t partition_count);
  void measure(const std::vector<arrow::ColumnType>& columns, std::uint32_t partition_count);

  Morsel morsel_{};
  bool has_views_ = false;
  std::vector<std::uint32_t> partitions_;
  std::vector<std::uint16_t> rows_;
  std::vector<std::uint32_t> begins_;
  std::vector<std::uint32_t> ends_;
  std::vector<std::uint32_t> row_heap_;
  std::vector<std::uint64_t> partition_heap_;
};

}  // namespace esker::shuffle
