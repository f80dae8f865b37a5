// The 16 bytes that stand for a string or binary value: length, then up to 12 bytes; or length, first four
// bytes, buffer 0, offset in the page.
#pragma once

#include <cstdint>
#include <cstring>

#include "esker/arrow/batch_view.h"

namespace esker::shuffle {

constexpr std::int64_t kInlineBytesMax = 12;

struct View {
  std::int32_t size;
  std::uint8_t prefix[4];
  std::int32_t buffer;
  std::uint32_t offset;
};
static_assert(sizeof(View) == 16);

// Writes the view of a value; a long one is at `offset`.
inline void write_view(std::uint8_t* to, arrow::Bytes value, std::uint64_t offset) {
  View out{};
  out.size = static_cast<std::int32_t>(value.size);
  if (value.size <= kInlineBytesMax) {
    std::memcpy(to, &out, sizeof out);
    for (std::int64_t i = 0; i < value.size; ++i) to[4 + i] = value.data[i];
    return;
  }
  std::memcpy(out.prefix, value.data, 4);
  out.offset = static_cast<std::uint32_t>(offset);
  std::memcpy(to, &out, sizeof out);
}

}  // namespace esker::shuffle
