// A borrowed look into an Arrow record batch: nothing is copied, the caller keeps the batch alive.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "esker/arrow/c_data.h"
#include "esker/arrow/column_type.h"

namespace esker::arrow {

struct Bytes {
  const std::uint8_t* data;
  std::int64_t size;
};

template <class Value>
Value load(const std::uint8_t* from) {
  Value value;
  std::memcpy(&value, from, sizeof(Value));
  return value;
}

inline bool bit_at(const std::uint8_t* bits, std::int64_t index) {
  return (bits[index >> 3] >> (index & 7)) & 1;
}

struct ColumnView {
  const std::uint8_t* validity = nullptr;  // null: no row is null
  const std::uint8_t* values = nullptr;    // bits, fixed values, or views; offsets for the offset sources
  const std::uint8_t* data = nullptr;      // the bytes that offsets point into
  const void* const* variadic = nullptr;   // the buffers that views point into
  const std::int64_t* variadic_bytes = nullptr;
  std::int64_t variadic_count = 0;
  std::int64_t offset = 0;  // rows before the first one

  bool valid(std::int64_t row) const { return validity == nullptr || bit_at(validity, offset + row); }
};

// The bytes of a string or binary value. Throws std::invalid_argument for lengths and places that cannot be.
template <Source source>
Bytes bytes_at(const ColumnView& column, std::int64_t row);

struct BatchView {
  std::int64_t row_count = 0;
  std::vector<ColumnView> columns;
};

// Checks that `schema` is the one of `columns`, and that the batch has the buffers the schema promises.
BatchView view_of(const ArrowArray& array, const ArrowSchema& schema, const std::vector<ColumnType>& columns);

[[noreturn]] void bad_value();

template <class Offset>
Bytes bytes_between(const ColumnView& column, std::int64_t row) {
  const auto* place = column.values + (column.offset + row) * static_cast<std::int64_t>(sizeof(Offset));
  const auto begin = static_cast<std::int64_t>(load<Offset>(place));
  const auto end = static_cast<std::int64_t>(load<Offset>(place + sizeof(Offset)));
  if (begin < 0 || end < begin) bad_value();
  return {column.data + begin, end - begin};
}

template <>
inline Bytes bytes_at<Source::offsets32>(const ColumnView& column, std::int64_t row) {
  return bytes_between<std::int32_t>(column, row);
}

template <>
inline Bytes bytes_at<Source::offsets64>(const ColumnView& column, std::int64_t row) {
  return bytes_between<std::int64_t>(column, row);
}

template <>
inline Bytes bytes_at<Source::views>(const ColumnView& column, std::int64_t row) {
  const auto* view = column.values + (column.offset + row) * 16;
  const std::int64_t size = load<std::int32_t>(view);
  if (size < 0) bad_value();
  if (size <= 12) return {view + 4, size};
  const std::int64_t buffer = load<std::int32_t>(view + 8);
  const std::int64_t begin = load<std::int32_t>(view + 12);
  if (buffer < 0 || buffer >= column.variadic_count || begin < 0 ||
      begin + size > column.variadic_bytes[buffer]) {
    bad_value();
  }
  return {static_cast<const std::uint8_t*>(column.variadic[buffer]) + begin, size};
}

}  // namespace esker::arrow
