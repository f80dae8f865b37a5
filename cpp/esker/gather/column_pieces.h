// A column that lies in several arrays, from which values are gathered by their place in all of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "esker/arrow/batch_view.h"
#include "esker/arrow/column_type.h"

namespace esker::gather {

// Where the gathered values go. Of a fixed-width column `values` are the values, of others the offsets, one
// more than there are values; `validity` has a bit for each value, or is null where the caller knows of no
// null.
struct Room {
  std::uint8_t* values = nullptr;
  std::uint8_t* data = nullptr;
  std::uint8_t* validity = nullptr;
};

// Threads may share it once all pieces are there; the arrays must live longer.
class ColumnPieces {
 public:
  // Throws UnsupportedType for a column that is neither of fixed width nor strings or binaries with offsets.
  explicit ColumnPieces(const arrow::ColumnType& type);

  void add(const arrow::ColumnView& piece, std::int64_t row_count);

  std::int64_t row_count() const { return firsts_.back(); }
  bool sized() const { return offset_bytes_ != 0; }
  // Bytes that `values` of a room for `count` values needs.
  std::int64_t values_bytes(std::int64_t count) const;

  // Where each of `positions` lies; -1 gives a null. Throws std::invalid_argument for a place that is not
  // there.
  struct Found {
    std::vector<const std::uint8_t*> values;  // null: the value is null; of bits the piece's own values
    std::vector<std::int64_t> sizes;          // of a sized column; of bits the place of the bit
    std::int64_t data_bytes = 0;
    std::int64_t null_count = 0;
  };
  Found find(std::span<const std::int64_t> positions) const;

  // Copies what was found. Throws std::invalid_argument when 32-bit offsets cannot hold `data_bytes`.
  void copy(const Found& found, const Room& room) const;

 private:
  struct Piece {
    arrow::ColumnView view;
    std::int64_t row_count;
  };

  std::size_t piece_of(std::int64_t position, std::size_t last) const;
  void find_in(const Piece& piece, std::int64_t row, std::size_t place, Found& found) const;
  void copy_bits(const Found& found, const Room& room) const;
  void copy_fixed(const Found& found, const Room& room) const;
  template <class Offset>
  void copy_sized(const Found& found, const Room& room) const;

  arrow::ColumnType type_;
  std::int64_t offset_bytes_ = 0;
  std::vector<Piece> pieces_;
  std::vector<std::int64_t> firsts_{0};
};

}  // namespace esker::gather
