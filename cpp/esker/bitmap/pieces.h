// Between groups of one size and another: what encodings whose units are not groups of 63 rows go through.
//
// A piece is some rows in a row: up to 64 of them with their bits, or any greater number that are all alike.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>

#include "esker/bitmap/runs.h"

namespace esker::bitmap {

struct Piece {
  std::uint64_t bits = 0;  // of a long piece all or none are set
  std::uint64_t rows = 0;  // 0: there are no more
};

constexpr std::uint64_t low_bits(std::uint64_t count) {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

template <class Source>
concept PieceSource = requires(Source source) {
  { source.next() } -> std::same_as<Piece>;
};

// The groups of `row_count` rows from pieces; rows behind the last piece are not set, pieces behind the last
// group are left.
template <PieceSource Pieces>
class Grouped {
 public:
  Grouped(Pieces pieces, std::uint64_t row_count)
      : pieces_(pieces), groups_left_(group_count<Groups63>(row_count)) {}

  Run<Groups63> next() {
    constexpr std::uint64_t kBits = Groups63::kGroupBits;
    std::uint64_t word = 0;
    std::uint64_t filled = 0;
    while (groups_left_ != 0) {
      if (piece_.rows == 0) piece_ = pieces_.next();
      if (piece_.rows == 0) return given(word, filled != 0 ? 1 : groups_left_);
      if (filled == 0 && piece_.rows > 64) {
        const std::uint64_t groups = piece_.rows / kBits;
        piece_.rows -= groups * kBits;
        return given(piece_.bits & Groups63::kOnes, groups);
      }
      const std::uint64_t taken = std::min(kBits - filled, piece_.rows);
      word |= (piece_.bits & low_bits(taken)) << filled;
      if (piece_.rows <= 64) piece_.bits >>= taken;
      piece_.rows -= taken;
      filled += taken;
      if (filled == kBits) return given(word, 1);
    }
    return {};
  }

 private:
  Run<Groups63> given(std::uint64_t word, std::uint64_t groups) {
    const Run<Groups63> run{word, std::min(groups, groups_left_)};
    groups_left_ -= run.groups;
    return run;
  }

  Pieces pieces_;
  Piece piece_;
  std::uint64_t groups_left_;
};

// Pieces from groups, for `take(bits, rows)`: cut into units of `unit_rows`, fills as long as they come.
template <class Take>
class UnitCutter {
 public:
  UnitCutter(int unit_rows, Take take) : unit_(static_cast<std::uint64_t>(unit_rows)), take_(take) {}

  // Up to 63 rows with their bits, or more that are all alike.
  void add(std::uint64_t bits, std::uint64_t rows) {
    const bool long_piece = rows > Groups63::kGroupBits;
    while (rows != 0) {
      if (filled_ == 0 && long_piece && rows >= unit_) {
        const std::uint64_t units = rows / unit_;
        take_(bits & low_bits(unit_), units);
        rows -= units * unit_;
        continue;
      }
      const std::uint64_t taken = std::min(unit_ - filled_, rows);
      open_ |= (bits & low_bits(taken)) << filled_;
      if (!long_piece) bits >>= taken;
      rows -= taken;
      filled_ += taken;
      if (filled_ == unit_) flush();
    }
  }

  UnitCutter(const UnitCutter&) = delete;
  UnitCutter& operator=(const UnitCutter&) = delete;

  // Hands on the last unit, filled up with zeros.
  void finish() {
    if (filled_ != 0) flush();
  }

 private:
  void flush() {
    take_(open_, std::uint64_t{1});
    open_ = 0;
    filled_ = 0;
  }

  std::uint64_t unit_;
  std::uint64_t open_ = 0;
  std::uint64_t filled_ = 0;
  Take take_;
};

// Groups of 63 rows given to a cutter, which is asked for no more units than the rows need.
template <class Cutter>
class RowCap {
 public:
  RowCap(std::uint64_t row_count, std::uint64_t unit_rows)
      : rows_left_(unit_rows * (row_count / unit_rows + (row_count % unit_rows != 0))) {}

  void add(Cutter& cutter, std::uint64_t word, std::uint64_t groups) {
    const std::uint64_t rows = std::min(rows_left_, groups * Groups63::kGroupBits);
    cutter.add(groups > 1 && word != 0 ? ~std::uint64_t{0} : word, rows);
    rows_left_ -= rows;
  }

  // Units that reach past the last group of 63.
  void finish(Cutter& cutter) {
    cutter.add(0, rows_left_);
    cutter.finish();
  }

 private:
  std::uint64_t rows_left_;
};

}  // namespace esker::bitmap
