// Copies rows of a morsel into space claimed on a page, column by column.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/page/page.h"
#include "esker/shuffle/morsel.h"

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
  std::uint64_t heap_bytes;
};

// Writes every claim of a morsel.
void write(std::vector<Claim>& claims, const Morsel& morsel, const page::PageSchema& schema);

}  // namespace esker::shuffle
