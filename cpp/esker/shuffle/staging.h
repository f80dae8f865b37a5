// Software-managed buffers: rows copied by value into a buffer of each partition, column by column, until there are
// enough of them to pay for a claim (source 002, 3.5).
//
// A buffer has room for a fixed number of rows, and of bytes of long values. A block of rows is taken whole or not at
// all: first every row is given its place, then each column is copied in one pass, without a check in the loop.
//
// Threads: one at a time, but for `copy_in` with slots that differ, and what speaks of one partition for different ones.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "esker/arrow/batch_view.h"
#include "esker/page/page_layout.h"
#include "esker/shuffle/claim.h"
#include "esker/shuffle/page_writer.h"
#include "esker/shuffle/partition_function.h"

namespace esker::shuffle {

struct StagingShape {
  // Fits the buffers of one thread into about `bytes`: they should stay in the second-level cache.
  static StagingShape of(const page::PageSchema& schema, std::uint32_t partition_count, std::uint64_t bytes,
                         double heap_per_row);

  std::uint32_t rows_max;  // a power of two
  std::uint32_t heap_max;
};

// Rows that go into the buffers together: where each goes.
struct StagingBlock {
  static constexpr std::uint32_t kRowsMax = 4096;

  std::vector<std::uint32_t> partitions = std::vector<std::uint32_t>(kRowsMax);
  std::vector<std::uint32_t> heap;    // bytes of each row's long values; empty where no column has any
  std::vector<std::uint32_t> slots = std::vector<std::uint32_t>(kRowsMax);
  std::vector<std::uint64_t> places;  // of the long values, in the heap of the partition's buffer

  explicit StagingBlock(bool has_views) : heap(has_views ? kRowsMax : 0), places(has_views ? kRowsMax : 0) {}

  // Says where rows belong, and how long they are.
  void measure(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count,
               const page::PageSchema& schema, const PartitionFunction& partition_of);
};

class Staging {
 public:
  Staging(const page::PageSchema& schema, std::uint32_t partition_count, StagingShape shape);

  // Takes the first `count` rows of a measured block, if all of them fit.
  bool take(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count, StagingBlock& block);

  // The parts of `take`, for threads that share buffers. `prepare` is for all batches before any is copied in.
  void prepare(const arrow::BatchView& batch);
  // Gives the rows of a block their places, behind `rows` rows and `heap` bytes of each partition, which go up.
  void place(std::uint32_t count, StagingBlock& block, std::uint32_t* rows, std::uint32_t* heap);
  void copy_in(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count, StagingBlock& block);
  void grow(std::uint32_t partition, std::uint32_t rows, std::uint32_t heap) {
    rows_[partition] += rows;
    heap_[partition] += heap;
  }
  bool has_room(std::uint32_t partition, std::uint64_t rows, std::uint64_t heap) const {
    return rows_[partition] + rows <= shape_.rows_max && heap_[partition] + heap <= shape_.heap_max;
  }
  const std::vector<std::uint32_t>& row_counts() const { return rows_; }
  const std::vector<std::uint32_t>& heap_counts() const { return heap_; }

  std::uint32_t rows(std::uint32_t partition) const { return rows_[partition]; }
  // Whether half of a buffer is in use, by rows or by bytes.
  bool is_half_full(std::uint32_t partition) const {
    return rows_[partition] * 2 >= shape_.rows_max || (has_views_ && heap_[partition] * 2 >= shape_.heap_max);
  }
  // The most rows a buffer holds, and the most bytes.
  std::uint32_t fullest_rows() const;
  std::uint32_t fullest_heap() const;
  const StagingShape& shape() const { return shape_; }

  RowRun run(std::uint32_t partition) const {
    return {partition, 0, rows_[partition],
            has_views_ ? heap_ends_.data() + std::size_t{partition} * shape_.rows_max : nullptr};
  }
  // Copies rows of a partition's buffer to the page.
  void write(const Claim& claim, std::uint32_t partition, const WriteOptions& options);
  void clear(std::uint32_t partition) { rows_[partition] = heap_[partition] = 0; }

  // An upper bound of what the buffers of one thread take.
  static std::uint64_t bytes_max(const page::PageSchema& schema, std::uint32_t partition_count, std::uint64_t bytes);

 private:
  struct Free {
    void operator()(std::uint8_t* bytes) const;
  };
  using Bytes = std::unique_ptr<std::uint8_t[], Free>;

  struct Column {
    std::uint32_t stride = 0;  // of a value in the buffer
    Bytes values;
    Bytes validity;  // a byte a row, from the first null on
  };

  static Bytes allocate(std::size_t size);
  bool assign(std::uint32_t count, StagingBlock& block);
  void stage_column(std::size_t index, const arrow::ColumnView& column, std::int64_t row_begin, std::uint32_t count,
                    StagingBlock& block);
  void allocate_validity(Column& staged);
  template <arrow::Source source>
  void stage_views(Column& staged, const arrow::ColumnView& column, std::int64_t row_begin, std::uint32_t count,
                   StagingBlock& block);
  void write_column(const Claim& claim, std::size_t index, std::size_t first, std::int64_t heap_shift, bool streaming);

  const page::PageSchema& schema_;
  const StagingShape shape_;
  const bool has_views_;
  std::uint32_t rows_shift_;
  std::size_t slot_count_;
  std::vector<Column> columns_;
  Bytes heap_bytes_;
  std::vector<std::uint64_t> heap_ends_;
  std::vector<std::uint32_t> rows_;  // of each partition
  std::vector<std::uint32_t> heap_;
};

}  // namespace esker::shuffle
