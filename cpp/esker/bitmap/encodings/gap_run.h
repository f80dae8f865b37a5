// Gaps and run lengths in as few bytes as they need: the encoding for size.
//
// Rows are renumbered so that groups of 63 begin at multiples of 64 (row r is place r + r / 63): a decoder
// finds word and bit with a shift. Each maximal run of rows is
//
//   varint   gap << 1 | (length > 1)     places from two past the last of the run before (the first: from 0)
//   varint   length - 2                  only if length > 1, in places
//
// A varint has seven bits a byte, the low ones first, and the high bit set in all bytes but the last.
#pragma once

#include "esker/bitmap/codec.h"

namespace esker::bitmap {

namespace gap_run {

constexpr std::uint64_t place_of(std::uint64_t row) {
  return row + row / Groups63::kGroupBits;
}

// Reads the rest of a varint that was checked: `value` has the low `shift` bits, `byte` was the last.
inline std::uint64_t read_on(const std::uint8_t*& at, std::uint8_t byte, std::uint64_t value, int shift) {
  for (; (byte & 0x80) != 0; shift += 7) {
    byte = *at++;
    value |= std::uint64_t{byte & 0x7Fu} << shift;
  }
  return value;
}

// A run, in places.
struct PlaceRun {
  std::uint64_t start;
  std::uint64_t stop;
};

// Reads a run that was checked. `base` is the first place its start may be at; the next run's is stop + 1.
inline PlaceRun read_run(const std::uint8_t*& at, std::uint64_t base) {
  const std::uint8_t head = *at++;
  const std::uint64_t start = base + read_on(at, head, head >> 1 & 0x3F, 6);
  if ((head & 1) == 0) return {start, start + 1};
  const std::uint8_t more = *at++;
  return {start, start + 2 + read_on(at, more, more & 0x7F, 7)};
}

}  // namespace gap_run

struct GapRun {
  static constexpr Encoding kEncoding = Encoding::gap_run;
  static constexpr std::string_view kName = "gap_run.1";

  class Source {
   public:
    Source(Data data, std::uint64_t row_count)
        : at_(data.data()), end_(data.data() + data.size()), groups_(group_count<Groups63>(row_count)) {}

    Run<Groups63> next();

   private:
    bool fetch();

    const std::uint8_t* at_;
    const std::uint8_t* end_;
    std::uint64_t groups_;
    std::uint64_t group_ = 0;  // the open group, whose bits so far are in word_
    std::uint64_t word_ = 0;
    std::uint64_t start_ = 0;  // what is left of the run at hand, in places; start == stop: none
    std::uint64_t stop_ = 0;
    std::uint64_t base_ = 0;
  };

  class Sink {
   public:
    explicit Sink(std::uint64_t) {}
    void add(std::uint64_t word, std::uint64_t groups) { runs_.add(word, groups); }
    Bytes take() {
      runs_.finish();
      return std::move(bytes_);
    }

   private:
    // A varint whose first byte has `flags` bits below it.
    void write(std::uint64_t value, std::uint64_t flag, int flags);
    void write_run(std::uint64_t start, std::uint64_t stop);

    struct Take {
      Sink* sink;
      void operator()(std::uint64_t start, std::uint64_t stop) const { sink->write_run(start, stop); }
    };

    Bytes bytes_;
    std::uint64_t base_ = 0;
    RowRuns<Groups63, Take> runs_{Take{this}};
  };

  static std::uint64_t check(Data data, std::uint64_t row_count);

  // ORs the rows into one word for each group.
  static void or_into(Data data, std::uint64_t* groups);
};
static_assert(Codec<GapRun>);

}  // namespace esker::bitmap
