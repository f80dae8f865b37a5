// VAL-WAH, Variable Aligned Length code (Guzun, Canahuate, Chiu, Sawin 2014): WAH whose groups have 15, 30 or
// 60 rows, the same for all of a vector, so that short fills need not break up long groups.
//
//   word   bits 60 to 63: flags of segments 0 to 3 | bits 0 to 59: 4 segments of 15, 2 of 30 or 1 of 60 bits
//
// A segment with flag 0 holds its rows, the lowest in the lowest bit; with flag 1 its highest bit is the
// fill's and the others count groups. Segments left over in the last word are fills of no groups. Behind the
// words stands one byte: 0, 1 or 2 for 15, 30 or 60, whichever takes fewest words, the longest of those.
#pragma once

#include <array>

#include "esker/bitmap/codec.h"
#include "esker/bitmap/pieces.h"
#include "esker/bitmap/wah.h"

namespace esker::bitmap {

struct Val {
  static constexpr Encoding kEncoding = Encoding::val;
  static constexpr std::string_view kName = "val.1";
  static constexpr std::array<int, 3> kSegmentBits = {15, 30, 60};

  class Pieces {
   public:
    explicit Pieces(Data data);
    Piece next();

   private:
    std::span<const std::uint64_t> words_;
    std::uint64_t bits_ = 60;
    std::size_t word_ = 0;
    std::uint64_t segment_ = 0;
  };

  class Source : public Grouped<Pieces> {
   public:
    Source(Data data, std::uint64_t row_count) : Grouped<Pieces>(Pieces(data), row_count) {}
  };

  // Counts the segments of each length while the groups come, and writes with the best at the end.
  class Sink {
   public:
    explicit Sink(std::uint64_t row_count)
        : row_count_(row_count),
          counted_{Counted(15, row_count), Counted(30, row_count), Counted(60, row_count)} {}
    void add(std::uint64_t word, std::uint64_t groups) {
      groups_.add(word, groups);
      for (Counted& each : counted_) each.cap.add(each.cutter, word, groups);
    }
    Bytes take();

   private:
    struct Segments {
      std::uint64_t bits;
      std::uint64_t fill_bit = 2;  // of the fill that is open; 2: none is
      std::uint64_t fill_groups = 0;
      std::uint64_t count = 0;
    };
    struct Count {
      Segments* segments;
      void operator()(std::uint64_t bits, std::uint64_t groups) const;
    };
    struct Counted {
      Counted(std::uint64_t bits, std::uint64_t row_count)
          : segments{bits}, cutter(static_cast<int>(bits), Count{&segments}), cap(row_count, bits) {}
      Segments segments;
      UnitCutter<Count> cutter;
      RowCap<UnitCutter<Count>> cap;
    };

    std::uint64_t row_count_;
    wah::Sink<Groups63> groups_;
    std::array<Counted, 3> counted_;
  };

  static std::uint64_t check(Data data, std::uint64_t row_count);
};
static_assert(Codec<Val>);

}  // namespace esker::bitmap
