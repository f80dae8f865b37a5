// Pages made one record batch: of the types their rows came in, with offsets where strings had them, or of
// the types that pages hold.
//
// A page is read where it lies, column by column; a row is copied once. Of views the long values are gathered
// behind one another.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "esker/arrow/c_data.h"
#include "esker/page/page.h"
#include "esker/page/page_batch.h"

namespace esker::page {

// The payload of a page: what its rows take of it, without padding and unused space.
inline std::uint64_t payload_bytes(const Page& page, const PageSchema& schema) {
  return schema.payload_bytes(page.row_count, page.layout->page_bytes - page.heap_begin);
}

// Whether a page can be handed on as it is: no column left the type it came in.
bool came_as_held(const PageSchema& schema);

// What is to be joined, measured: how large the memory must be, and where each column will lie in it.
//
// Holds: the pages outlive the plan. Offsets of 32 bits reach, since the pages together are below
// kPageBytesMax.
class JoinPlan {
 public:
  // Throws PageCorrupt for a value that lies outside its page.
  JoinPlan(std::span<const Page> pages, const PageSchema& schema, Types types);

  std::uint64_t bytes() const { return bytes_; }
  std::uint32_t row_count() const { return row_count_; }

  // Copies every row to `memory`, of `bytes()`, and fills `out` with the batch; `owner` keeps the memory.
  void run(std::uint8_t* memory, std::shared_ptr<void> owner, ArrowArray* out) const;

 private:
  struct Column {
    std::int64_t null_count = 0;
    std::uint64_t data_bytes = 0;  // of long values, or of all values behind offsets
    std::uint64_t validity = 0;    // where it lies, if there are nulls
    std::uint64_t values = 0;
    std::uint64_t data = 0;
  };

  bool with_offsets(std::size_t index) const;
  void measure(std::size_t index);
  void place(std::size_t index);
  void copy(std::size_t index, std::uint8_t* memory) const;
  std::uint64_t take(std::uint64_t bytes);

  std::span<const Page> pages_;
  const PageSchema& schema_;
  const Types types_;
  std::vector<Column> columns_;
  std::uint64_t bytes_ = 0;
  std::uint32_t row_count_ = 0;
};

}  // namespace esker::page
