// Copies rows of a morsel into space claimed on a page, column by column.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/arrow/batch_view.h"
#include "esker/page/page.h"

namespace esker::shuffle {

// Space on a page that one thread has claimed: `row_count` rows from `row_begin` on, and heap from
// `heap_next` on.
struct Claim {
  std::uint8_t* bytes;
  const page::PageLayout* layout;
  std::uint32_t row_begin;
  std::uint32_t row_count;
  const std::uint16_t* rows;  // which rows of the morsel go there
  std::uint64_t heap_next;
};

// Writes every claim; `first_row` is the morsel's first row in the batch.
void write(std::vector<Claim>& claims, const arrow::BatchView& batch, std::int64_t first_row,
           const page::PageSchema& schema);

}  // namespace esker::shuffle
