#include "esker/hash/row_hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace esker::hash {
namespace {

using arrow::ColumnType;
using arrow::ColumnView;
using arrow::Key;
using arrow::load;
using arrow::Source;

constexpr std::uint64_t kNull = 0x6A09'E667'F3BC'C908;   // square root of 2
constexpr std::uint64_t kStart = 0x9E37'79B9'7F4A'7C15;  // golden ratio
constexpr std::uint64_t kWord = 0xD6E8'FEB8'6659'FD93;

// Adds a column to the running hashes; `value` gives 64 bits for a row.
template <class Value>
void combine(const ColumnView& column, std::int64_t begin, std::int64_t count, std::uint64_t* out,
             Value value) {
  if (column.validity == nullptr) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = mix(out[i] + value(begin + i));
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = mix(out[i] + (column.valid(begin + i) ? value(begin + i) : kNull));
  }
}

template <class Stored>
void combine_integers(const ColumnView& column, std::int64_t begin, std::int64_t count, std::uint64_t* out) {
  const auto* values = column.values + column.offset * static_cast<std::int64_t>(sizeof(Stored));
  combine(column, begin, count, out, [values](std::int64_t row) {
    // Sign-extended, so that the width does not matter.
    return static_cast<std::uint64_t>(load<Stored>(values + row * static_cast<std::int64_t>(sizeof(Stored))));
  });
}

std::uint64_t real_bits(double value) {
  if (value != value) return 0x7FF8'0000'0000'0000;
  return std::bit_cast<std::uint64_t>(value + 0.0);  // -0.0 + 0.0 is 0.0
}

template <class Stored>
void combine_reals(const ColumnView& column, std::int64_t begin, std::int64_t count, std::uint64_t* out) {
  const auto* values = column.values + column.offset * static_cast<std::int64_t>(sizeof(Stored));
  combine(column, begin, count, out, [values](std::int64_t row) {
    return real_bits(load<Stored>(values + row * static_cast<std::int64_t>(sizeof(Stored))));
  });
}

std::uint64_t half_bits(std::uint16_t bits) {
  if ((bits & 0x7FFF) > 0x7C00) return 0x7E00;
  return bits == 0x8000 ? 0 : bits;
}

template <Source source>
void combine_values(const ColumnView& column, std::int64_t begin, std::int64_t count, std::uint64_t* out) {
  combine(column, begin, count, out, [&column](std::int64_t row) {
    const auto bytes = arrow::bytes_at<source>(column, row);
    return hash_bytes(bytes.data, bytes.size);
  });
}

void combine_signed(const ColumnView& column, std::uint32_t width, std::int64_t begin, std::int64_t count,
                    std::uint64_t* out) {
  switch (width) {
    case 1:
      return combine_integers<std::int8_t>(column, begin, count, out);
    case 2:
      return combine_integers<std::int16_t>(column, begin, count, out);
    case 4:
      return combine_integers<std::int32_t>(column, begin, count, out);
    default:
      return combine_integers<std::int64_t>(column, begin, count, out);
  }
}

void combine_unsigned(const ColumnView& column, std::uint32_t width, std::int64_t begin, std::int64_t count,
                      std::uint64_t* out) {
  switch (width) {
    case 1:
      return combine_integers<std::uint8_t>(column, begin, count, out);
    case 2:
      return combine_integers<std::uint16_t>(column, begin, count, out);
    case 4:
      return combine_integers<std::uint32_t>(column, begin, count, out);
    default:
      return combine_integers<std::uint64_t>(column, begin, count, out);
  }
}

void combine_bytes(const ColumnView& column, const ColumnType& type, std::int64_t begin, std::int64_t count,
                   std::uint64_t* out) {
  switch (type.source) {
    case Source::offsets32:
      return combine_values<Source::offsets32>(column, begin, count, out);
    case Source::offsets64:
      return combine_values<Source::offsets64>(column, begin, count, out);
    case Source::views:
      return combine_values<Source::views>(column, begin, count, out);
    default: {
      const std::int64_t width = type.width;
      combine(column, begin, count, out, [&column, width](std::int64_t row) {
        return hash_bytes(column.values + (column.offset + row) * width, width);
      });
    }
  }
}

void combine_column(const ColumnView& column, const ColumnType& type, std::int64_t begin, std::int64_t count,
                    std::uint64_t* out) {
  switch (type.key) {
    case Key::null:
      for (std::int64_t i = 0; i < count; ++i) out[i] = mix(out[i] + kNull);
      return;
    case Key::boolean:
      return combine(column, begin, count, out, [&column](std::int64_t row) -> std::uint64_t {
        return arrow::bit_at(column.values, column.offset + row);
      });
    case Key::signed_integer:
      return combine_signed(column, type.width, begin, count, out);
    case Key::unsigned_integer:
      return combine_unsigned(column, type.width, begin, count, out);
    case Key::half:
      return combine(column, begin, count, out, [&column](std::int64_t row) {
        return half_bits(load<std::uint16_t>(column.values + (column.offset + row) * 2));
      });
    case Key::single:
      return combine_reals<float>(column, begin, count, out);
    case Key::real:
      return combine_reals<double>(column, begin, count, out);
    case Key::bytes:
      return combine_bytes(column, type, begin, count, out);
  }
}

}  // namespace

std::uint64_t hash_bytes(const std::uint8_t* data, std::int64_t size) {
  auto state = static_cast<std::uint64_t>(size) * kStart;
  for (; size >= 8; data += 8, size -= 8) {
    state = (state ^ load<std::uint64_t>(data)) * kWord;
    state ^= state >> 32;
  }
  if (size > 0) {
    std::uint64_t tail = 0;
    std::memcpy(&tail, data, static_cast<std::size_t>(size));
    state = (state ^ tail) * kWord;
  }
  return mix(state);
}

void hash_rows(const arrow::BatchView& batch, std::span<const ColumnType> columns, std::span<const int> keys,
               std::uint64_t seed, std::int64_t row_begin, std::int64_t row_count, std::uint64_t* out) {
  if (row_count == 0) return;
  std::fill(out, out + row_count, start(seed));
  for (const int key : keys) {
    const auto index = static_cast<std::size_t>(key);
    combine_column(batch.columns[index], columns[index], row_begin, row_count, out);
  }
}

}  // namespace esker::hash
