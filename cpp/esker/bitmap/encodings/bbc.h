// BBC, Byte-aligned Bitmap Code (Antoshenkov 1995), in the two-sided form with four kinds of atoms that Wu,
// Otoo and Shoshani describe (LBNL-49626): small, and slow because atoms are bytes.
//
// An atom is a fill of bytes that are all 0x00 or all 0xFF, and a tail of bytes that are neither:
//
//   1 | bit | fill 0 to 3 (2 bits) | tail 0 to 15 (4 bits)            tail bytes
//   0 1 | bit | fill 0 to 3 (2 bits) | place of the odd bit (3 bits)
//   0 0 1 | bit | tail 0 to 15 (4 bits)                               varint of fill - 4, tail bytes
//   0 0 0 1 | bit | place of the odd bit (3 bits)                     varint of fill - 4
//
// An odd byte is a tail of one byte that differs from the fill in one bit, and is not written. An atom
// without fill has bit 0. Tails are as long as they can be, and the last byte is filled up with zeros.
#pragma once

#include "esker/bitmap/codec.h"
#include "esker/bitmap/pieces.h"

namespace esker::bitmap {

struct Bbc {
  static constexpr Encoding kEncoding = Encoding::bbc;
  static constexpr std::string_view kName = "bbc.1";

  class Pieces {
   public:
    explicit Pieces(Data data) : at_(data.data()), end_(data.data() + data.size()) {}
    Piece next();

   private:
    const std::uint8_t* at_;
    const std::uint8_t* end_;
    std::uint64_t tail_ = 0;  // bytes of the tail still to be read
    Piece odd_;               // the odd byte behind the fill just given
  };

  class Source : public Grouped<Pieces> {
   public:
    Source(Data data, std::uint64_t row_count) : Grouped<Pieces>(Pieces(data), row_count) {}
  };

  class Sink {
   public:
    explicit Sink(std::uint64_t row_count) : cap_(row_count, 8) {}
    void add(std::uint64_t word, std::uint64_t groups) { cap_.add(cutter_, word, groups); }
    Bytes take();

   private:
    static constexpr std::size_t kTailMax = 15;

    void add_bytes(std::uint64_t byte, std::uint64_t count);
    void write_atom();

    struct Take {
      Sink* sink;
      void operator()(std::uint64_t byte, std::uint64_t count) const { sink->add_bytes(byte, count); }
    };

    Bytes bytes_;
    std::uint64_t fill_bit_ = 0;
    std::uint64_t fill_bytes_ = 0;
    std::uint8_t tail_[kTailMax] = {};
    std::size_t tail_bytes_ = 0;
    UnitCutter<Take> cutter_{8, Take{this}};
    RowCap<UnitCutter<Take>> cap_;
  };

  static std::uint64_t check(Data data, std::uint64_t row_count);
};
static_assert(Codec<Bbc>);

}  // namespace esker::bitmap
