// A column out of rows: values of some bytes, each a stride behind the one before, brought together.
#pragma once

#include <cstdint>

#include "esker/memory/stream_copy.h"

namespace esker::memory {

struct ColumnOfRows {
  std::size_t offset;  // of the value in its row
  std::size_t stride;  // from row to row
  std::size_t width;   // bytes of a value
};

// Copies `count` values; whole lines past the cache when `streaming`. May read, never use, what lies up to a
// line behind the last row.
void copy_column(std::uint8_t* to, const std::uint8_t* rows, ColumnOfRows column, std::uint32_t count,
                 bool streaming);

}  // namespace esker::memory
