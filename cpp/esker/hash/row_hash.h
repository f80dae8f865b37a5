// The hash of a row's key columns: the same on every machine and in every run.
//
// Nulls are equal, -0.0 is 0.0, all NaNs are one, integers are equal by value whatever their width, singles
// and doubles by value, strings by their bytes however Arrow holds them.
#pragma once

#include <cstdint>
#include <span>

#include "esker/arrow/batch_view.h"

namespace esker::hash {

// Bijective, every output bit depends on every input bit. Constants: Stafford's mix 13 of the MurmurHash3
// finisher.
inline std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58'476D'1CE4'E5B9;
  value = (value ^ (value >> 27)) * 0x94D0'49BB'1331'11EB;
  return value ^ (value >> 31);
}

// What the hash of a row begins with, before its first key column.
inline std::uint64_t start(std::uint64_t seed) {
  return mix(seed + 0x9E37'79B9'7F4A'7C15);  // golden ratio
}

std::uint64_t hash_bytes(const std::uint8_t* data, std::int64_t size);

// Writes the hashes of `row_count` rows from `row_begin` on.
void hash_rows(const arrow::BatchView& batch, std::span<const arrow::ColumnType> columns,
               std::span<const int> keys, std::uint64_t seed, std::int64_t row_begin, std::int64_t row_count,
               std::uint64_t* out);

}  // namespace esker::hash
