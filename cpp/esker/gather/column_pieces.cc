#include "esker/gather/column_pieces.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "esker/error.h"

namespace esker::gather {
namespace {

using arrow::Source;

// Values looked ahead while copying: far enough that a line arrives from memory in time.
constexpr std::size_t kAhead = 12;
// Of a long value so many lines are asked for; those behind them the processor sees coming.
constexpr std::int64_t kLine = 64;
constexpr std::int64_t kLinesAhead = 4;

void prefetch(const std::uint8_t* from, std::int64_t size) {
  if (from == nullptr) return;
  for (std::int64_t line = 0; line < kLinesAhead && line * kLine < size; ++line) {
    __builtin_prefetch(from + line * kLine);
  }
}

template <std::size_t width>
void copy_values(const std::vector<const std::uint8_t*>& from, std::uint8_t* to) {
  for (std::size_t i = 0; i < from.size(); ++i, to += width) {
    if (from[i] != nullptr) {
      std::memcpy(to, from[i], width);
    } else {
      std::memset(to, 0, width);
    }
  }
}

void set_bit(std::uint8_t* bits, std::size_t index, bool value) {
  const auto mask = static_cast<std::uint8_t>(1U << (index & 7));
  if (value) {
    bits[index >> 3] |= mask;
  } else {
    bits[index >> 3] &= static_cast<std::uint8_t>(~mask);
  }
}

}  // namespace

ColumnPieces::ColumnPieces(const arrow::ColumnType& type) : type_(type) {
  switch (type.source) {
    case Source::bits:
    case Source::fixed:
      break;
    case Source::offsets32:
      offset_bytes_ = 4;
      break;
    case Source::offsets64:
      offset_bytes_ = 8;
      break;
    default:
      throw UnsupportedType("values of type '" + type.came_format + "' are not gathered");
  }
}

void ColumnPieces::add(const arrow::ColumnView& piece, std::int64_t row_count) {
  if (row_count == 0) return;
  pieces_.push_back({piece, row_count});
  firsts_.push_back(firsts_.back() + row_count);
}

std::int64_t ColumnPieces::values_bytes(std::int64_t count) const {
  if (sized()) return (count + 1) * offset_bytes_;
  return type_.source == Source::bits ? (count + 7) / 8 : count * static_cast<std::int64_t>(type_.width);
}

ColumnPieces::Found ColumnPieces::find(std::span<const std::int64_t> positions) const {
  Found found;
  found.values.resize(positions.size());
  if (sized() || type_.source == Source::bits) found.sizes.resize(positions.size());
  std::size_t piece = 0;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::int64_t position = positions[i];
    if (position == -1) {
      found.values[i] = nullptr;
      ++found.null_count;
      continue;
    }
    if (position < 0 || position >= row_count()) {
      throw std::invalid_argument("row " + std::to_string(position) + " of " + std::to_string(row_count()));
    }
    piece = piece_of(position, piece);
    find_in(pieces_[piece], position - firsts_[piece], i, found);
  }
  return found;
}

void ColumnPieces::copy(const Found& found, const Room& room) const {
  if (room.validity != nullptr) {
    for (std::size_t i = 0; i < found.values.size(); ++i)
      set_bit(room.validity, i, found.values[i] != nullptr);
  }
  if (type_.source == Source::bits) {
    copy_bits(found, room);
  } else if (!sized()) {
    copy_fixed(found, room);
  } else if (offset_bytes_ == 4) {
    copy_sized<std::int32_t>(found, room);
  } else {
    copy_sized<std::int64_t>(found, room);
  }
}

std::size_t ColumnPieces::piece_of(std::int64_t position, std::size_t last) const {
  if (position >= firsts_[last] && position < firsts_[last + 1]) return last;
  const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), position);
  return static_cast<std::size_t>(after - firsts_.begin()) - 1;
}

void ColumnPieces::find_in(const Piece& piece, std::int64_t row, std::size_t place, Found& found) const {
  const arrow::ColumnView& view = piece.view;
  if (!view.valid(row)) {
    ++found.null_count;
    return;
  }
  if (type_.source == Source::bits) {
    found.values[place] = view.values;
    found.sizes[place] = view.offset + row;
  } else if (!sized()) {
    found.values[place] = view.values + (view.offset + row) * static_cast<std::int64_t>(type_.width);
  } else {
    const arrow::Bytes bytes = offset_bytes_ == 4 ? arrow::bytes_at<Source::offsets32>(view, row)
                                                  : arrow::bytes_at<Source::offsets64>(view, row);
    // An empty value may have no data behind it; a null pointer means a null.
    found.values[place] = bytes.size != 0 ? bytes.data : view.values;
    found.sizes[place] = bytes.size;
    found.data_bytes += bytes.size;
  }
}

void ColumnPieces::copy_bits(const Found& found, const Room& room) const {
  for (std::size_t i = 0; i < found.values.size(); ++i) {
    const std::uint8_t* bits = found.values[i];
    set_bit(room.values, i, bits != nullptr && arrow::bit_at(bits, found.sizes[i]));
  }
}

void ColumnPieces::copy_fixed(const Found& found, const Room& room) const {
  switch (type_.width) {
    case 4:
      return copy_values<4>(found.values, room.values);
    case 8:
      return copy_values<8>(found.values, room.values);
    default:
      break;
  }
  std::uint8_t* to = room.values;
  for (const std::uint8_t* value : found.values) {
    if (value != nullptr) {
      std::memcpy(to, value, type_.width);
    } else {
      std::memset(to, 0, type_.width);
    }
    to += type_.width;
  }
}

template <class Offset>
void ColumnPieces::copy_sized(const Found& found, const Room& room) const {
  if (found.data_bytes > static_cast<std::int64_t>(std::numeric_limits<Offset>::max())) {
    throw std::invalid_argument(std::to_string(found.data_bytes) +
                                " bytes of text are more than one array holds");
  }
  std::int64_t at = 0;
  const auto put = [&](std::size_t i) {
    const auto offset = static_cast<Offset>(at);
    std::memcpy(room.values + i * sizeof(Offset), &offset, sizeof(Offset));
  };
  const std::size_t count = found.values.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) prefetch(found.values[i + kAhead], found.sizes[i + kAhead]);
    put(i);
    if (found.sizes[i] != 0)
      std::memcpy(room.data + at, found.values[i], static_cast<std::size_t>(found.sizes[i]));
    at += found.sizes[i];
  }
  put(count);
}

}  // namespace esker::gather
