// Nested rows as bytes, a binary value a row; docs/formats/page.md has the encoding.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/nested/value_view.h"

namespace esker::nested {

constexpr std::uint8_t kEncodingVersion = 1;

// How the validity of a range of items is written.
enum class Validity : std::uint8_t { all = 0, bitmap = 1, one_null = 2 };

struct EncodedRows {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::uint8_t> bytes;
};

// With `as_key` equal values have equal bytes: -0.0 is 0.0 and all NaNs are one. Without, every bit is kept.
EncodedRows encode_rows(const ValueView& view, bool as_key);

// As a large binary array without nulls.
void export_rows(EncodedRows rows, ArrowArray* out);

}  // namespace esker::nested
