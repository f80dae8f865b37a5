// Many small vectors made in one call, laid out as a file is to hold them: an index has one for each value.
#pragma once

#include <cstdint>
#include <span>

#include "esker/bitmap/vector.h"

namespace esker::bitmap {

// Where encoded vectors lie, counted from a place in a file, and the encoding of each.
struct Packed {
  Bytes data;
  Buffer<std::uint64_t> offsets;
  Buffer<std::uint64_t> lengths;
  Buffer<std::uint8_t> encodings;
};

// Vectors of `least_bytes` or more begin at a multiple of `alignment`, counted from the beginning of the
// file.
struct Alignment {
  std::uint64_t least_bytes;
  std::uint64_t alignment;
};

// Encodes rows `starts[i]` to `starts[i + 1]` as vector i; the first byte goes to `offset` of a file. Rows of
// a vector ascend and lie below the row count, and `starts` ascends within the rows, or InvalidInput.
Packed pack(std::span<const std::uint64_t> rows, std::span<const std::uint64_t> starts,
            std::uint64_t row_count, Form form, std::uint64_t offset, Alignment alignment);

}  // namespace esker::bitmap
