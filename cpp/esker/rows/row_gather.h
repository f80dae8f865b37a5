// Rows taken by number from record batches that lie one behind the other: what reads a mapped row file.
//
// A call costs the memory of the rows it names, whatever the batches hold besides. The batches' offsets are
// not believed: those of the rows taken are checked before they are followed.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "esker/arrow/batch_view.h"
#include "esker/arrow/c_data.h"
#include "esker/arrow/column_type.h"

namespace esker::rows {

class RowGather {
 public:
  // `starts` holds the first row of each batch, and one past the last row of all.
  RowGather(std::vector<arrow::ColumnType> columns, std::vector<std::uint64_t> starts);
  RowGather(const RowGather&) = delete;

  // Gives batch number `part`, once; `data_bytes` says for each column how many bytes its offsets may point
  // into. What the view points to outlives this object. Throws InvalidInput for other rows than `starts` has.
  void add(std::size_t part, arrow::BatchView batch, std::vector<std::uint64_t> data_bytes);

  // Batches that hold some of the rows and were not added. Throws as `take` does.
  std::vector<std::size_t> missing(std::span<const std::uint64_t> rows) const;

  // Fills `out` with columns of rows. Throws InvalidInput for rows that do not ascend, and for a row or batch
  // that is not there, PageCorrupt for offsets that lead out of their column, std::overflow_error when the
  // offsets of the result would.
  void take(std::span<const std::uint64_t> rows, std::span<const std::uint32_t> columns,
            ArrowArray* out) const;

 private:
  struct Part {
    std::atomic<bool> added = false;  // set when the rest is there to be read, by any thread
    arrow::BatchView batch;
    std::vector<std::uint64_t> data_bytes;
  };
  // Rows that lie in one batch: `from` to `stop` of those asked for.
  struct Stretch {
    std::size_t part;
    std::size_t from;
    std::size_t stop;
  };
  std::vector<Stretch> stretches(std::span<const std::uint64_t> rows) const;

  std::vector<arrow::ColumnType> columns_;
  std::vector<std::uint64_t> starts_;
  std::vector<Part> parts_;
};

}  // namespace esker::rows
