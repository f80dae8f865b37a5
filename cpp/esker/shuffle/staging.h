// Software-managed buffers: rows copied by value into a buffer of each partition, column by column, until
// there are enough of them to pay for a claim (source 002, 3.5).
//
// A buffer has room for a fixed number of rows, and of bytes of long values. A block of rows is taken whole
// or not at all: first every row is given its place, then each column is copied in one pass, without a check
// in the loop.
//
// Threads: one at a time, but for `copy_in` with slots that differ, and what speaks of one partition for
// different ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "esker/arrow/batch_view.h"
#include "esker/page/page_layout.h"
#include "esker/shuffle/claim.h"
#include "esker/shuffle/page_writer.h"
#include "esker/shuffle/partition_function.h"

namespace esker::shuffle {

struct PackedSource;

struct StagingShape {
  // Fits the buffers of one thread into about `bytes`: they should stay in the second-level cache.
  static StagingShape of(const page::PageSchema& schema, std::uint32_t partition_count, std::uint64_t bytes,
                         double heap_per_row);

  std::uint32_t rows_max;
  std::uint32_t heap_max;
};

// Rows that go into the buffers together: where each goes.
struct StagingBlock {
  static constexpr std::uint32_t kRowsMax = 4096;

  std::vector<std::uint32_t> partitions = std::vector<std::uint32_t>(kRowsMax);
  std::vector<std::uint32_t> heap;  // bytes of each row's long values; empty where no column has any
  std::vector<std::uint32_t> slots = std::vector<std::uint32_t>(kRowsMax);
  std::vector<std::uint64_t> places;  // of the long values, in the heap of the partition's buffer

  explicit StagingBlock(bool has_views) : heap(has_views ? kRowsMax : 0), places(has_views ? kRowsMax : 0) {}

  // Says where rows belong, and how long they are.
  void measure(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count,
               const page::PageSchema& schema, const PartitionFunction& partition_of);
};

class Staging {
 public:
  static constexpr std::uint32_t kBeforeMax = 15;

  Staging(const page::PageSchema& schema, std::uint32_t partition_count, StagingShape shape);

  // Whether rows lie in the buffers as they are, all columns together: narrow ones of fixed width.
  bool packed() const { return row_words_ > 0; }
  // Takes rows of a packed batch without nulls, up to the first whose buffer is full; says how many.
  bool takes_packed(const arrow::BatchView& batch) const;
  std::uint32_t take_packed(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count,
                            const std::uint32_t* partitions);

  // Takes the first `count` rows of a measured block, if all of them fit.
  bool take(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count, StagingBlock& block);

  // The parts of `take`, for threads that share buffers. `prepare` is for all batches before any is copied
  // in.
  void prepare(const arrow::BatchView& batch);
  // Gives the rows of a block their places: `next_slot` and `heap` of each partition, which go up.
  void place(std::uint32_t count, StagingBlock& block, std::uint32_t* next_slot, std::uint32_t* heap);
  void copy_in(const arrow::BatchView& batch, std::int64_t row_begin, std::uint32_t count,
               StagingBlock& block);
  void grow(std::uint32_t partition, std::uint32_t rows, std::uint32_t heap) {
    next_slot_[partition] += rows;
    heap_[partition] += heap;
  }
  bool has_room(std::uint32_t partition, std::uint64_t rows, std::uint64_t heap) const {
    return this->rows(partition) + rows <= shape_.rows_max && heap_[partition] + heap <= shape_.heap_max;
  }
  const std::vector<std::uint32_t>& next_slots() const { return next_slot_; }
  const std::vector<std::uint32_t>& heap_counts() const { return heap_; }

  std::uint32_t rows(std::uint32_t partition) const { return next_slot_[partition] - first_slot_[partition]; }
  // Whether half of a buffer is in use, by rows or by bytes.
  bool is_half_full(std::uint32_t partition) const {
    return rows(partition) * 2 >= shape_.rows_max || (has_views_ && heap_[partition] * 2 >= shape_.heap_max);
  }
  std::uint64_t row_count() const;
  // The most rows a buffer holds, and the most bytes.
  std::uint32_t fullest_rows() const;
  std::uint32_t fullest_heap() const;
  const StagingShape& shape() const { return shape_; }

  RowRun run(std::uint32_t partition) const {
    return {partition, 0, rows(partition), has_views_ ? heap_ends_.data() + first_slot_[partition] : nullptr};
  }
  // Copies rows of the buffers of the claims' partitions to pages.
  void write(const std::vector<Claim>& claims, const WriteOptions& options);
  // Of a packed buffer without nulls, drops the rows before `first`, which are written.
  void keep_from(std::uint32_t partition, std::uint32_t first);
  // Puts rows that another buffer had left before those of a packed buffer: up to kBeforeMax of them, none
  // null.
  void prepend(std::uint32_t partition, const std::uint8_t* rows, std::uint32_t count);
  // Takes the rows of a packed buffer from `first` on out of it, to `out`; says how many.
  std::uint32_t move_rest(std::uint32_t partition, std::uint32_t first, std::uint8_t* out);
  std::uint32_t row_stride() const { return row_stride_; }
  bool has_validity() const {
    return std::any_of(columns_.begin(), columns_.end(),
                       [](const Column& column) { return column.validity != nullptr; });
  }
  void clear(std::uint32_t partition) {
    first_slot_[partition] = end_slot_[partition] - shape_.rows_max;
    next_slot_[partition] = first_slot_[partition];
    heap_[partition] = 0;
  }

  // An upper bound of what the buffers of one thread take.
  static std::uint64_t bytes_max(const page::PageSchema& schema, std::uint32_t partition_count,
                                 std::uint64_t bytes);

 private:
  struct Free {
    void operator()(std::uint8_t* bytes) const;
  };
  using Bytes = std::unique_ptr<std::uint8_t[], Free>;

  struct Column {
    std::uint32_t stride = 0;  // from a value to the next one in the buffer
    std::uint32_t offset = 0;  // of the value in its row, where rows are packed
    std::uint8_t* values = nullptr;
    Bytes owned;     // the values, unless rows are packed
    Bytes validity;  // a byte a row, from the first null on
  };

  static Bytes allocate(std::size_t size);
  void allocate_columns();
  template <bool low_whole, bool high_whole>
  std::uint32_t take_rows(const PackedSource& source, std::uint32_t count, const std::uint32_t* partitions);
  template <class Store>
  std::uint32_t take_each(std::uint32_t count, const std::uint32_t* partitions, Store store);
  bool assign(std::uint32_t count, StagingBlock& block);
  void stage_column(std::size_t index, const arrow::ColumnView& column, std::int64_t row_begin,
                    std::uint32_t count, StagingBlock& block);
  void allocate_validity(Column& staged);
  template <arrow::Source source>
  void stage_views(Column& staged, const arrow::ColumnView& column, std::int64_t row_begin,
                   std::uint32_t count, StagingBlock& block);
  void write_bits(const Claim& claim, std::size_t index, std::size_t first, std::uint32_t count);
  void write_columns(const Claim& claim, bool streaming);
  void write_row_by_row(const Claim& claim);
  void write_values(const Claim& claim, std::size_t index, std::size_t first, std::int64_t heap_shift,
                    std::uint32_t row_begin, std::uint32_t count, bool streaming);

  std::size_t first_slot(const Claim& claim) const {
    return std::size_t{first_slot_[claim.partition]} + claim.first;
  }
  std::uint8_t* heap_of(std::uint32_t partition) const {
    return heap_bytes_.get() + std::size_t{partition} * heap_stride_;
  }
  // Where the long values of a claim begin in its partition's buffer, and how far they move.
  std::uint64_t heap_before(const Claim& claim) const {
    return claim.first > 0 ? heap_ends_[first_slot(claim) - 1] : 0;
  }
  std::int64_t shift_of(const Claim& claim) const {
    return has_views_
               ? static_cast<std::int64_t>(claim.heap_next) - static_cast<std::int64_t>(heap_before(claim))
               : 0;
  }

  const page::PageSchema& schema_;
  const StagingShape shape_;
  const bool has_views_;
  std::uint32_t row_words_;  // 32-bit words of a packed row; 0: columns lie apart
  std::uint32_t row_stride_ = 0;
  std::size_t heap_stride_;
  std::size_t slot_count_;
  std::vector<Column> columns_;
  Bytes packed_rows_;
  Bytes heap_bytes_;
  std::vector<std::uint64_t> heap_ends_;
  std::vector<std::uint32_t> first_slot_;  // of each partition
  std::vector<std::uint32_t> next_slot_;
  std::vector<std::uint32_t> end_slot_;
  std::vector<std::uint32_t> heap_;
};

}  // namespace esker::shuffle
