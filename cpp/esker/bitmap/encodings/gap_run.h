// Gaps and run lengths in as few bytes as they need: the encoding for size.
//
// Rows are renumbered so that groups of 63 begin at multiples of 64 (row r is place r + r / 63): a decoder
// finds word and bit with a shift. Each maximal run of rows gives a number, and a longer one than one row
// two:
//
//   gap << 1 | (length > 1)     gap: places from two past the last of the run before (the first: from 0)
//   length - 2                  in places, only if length > 1
//
// Numbers are kept apart from their sizes, so that four are unpacked at once (group varint, Dean 2009; laid
// out as in Stream VByte, Lemire, Kurz, Rupp 2018): a number is 1 to 4 bytes, and two bits say how many.
//
//   varint   number of runs
//   varint   how many of them are longer than one row
//   sizes of the gaps, four a byte, the first in the low bits; then those of the lengths, from a new byte
//   bytes of the gaps; then those of the lengths; low bytes first
//   varints  gaps and lengths that do not fit, in the order of runs; their number above is 0xFFFFFFFF, or
//            0xFFFFFFFE for a gap before a single row
#pragma once

#include <cstddef>

#include "esker/bitmap/codec.h"
#include "esker/bitmap/directory.h"

namespace esker::bitmap {

namespace gap_run {

constexpr std::uint64_t place_of(std::uint64_t row) {
  return row + row / Groups63::kGroupBits;
}

// Runs, in places: `next` is to be called while `left()`.
struct PlaceRun {
  std::uint64_t start;
  std::uint64_t stop;
};

inline constexpr std::uint32_t kBig = 0xFFFF'FFFF;

// Unpacks numbers, `kBlock` at a time.
class Numbers {
 public:
  static constexpr std::size_t kBlock = 256;

  Numbers() = default;
  Numbers(const std::uint8_t* sizes, const std::uint8_t* bytes, std::uint64_t count)
      : sizes_(sizes), bytes_(bytes), left_(count) {}

  std::uint32_t next() {
    if (at_ == end_) fill();
    return block_[at_++];
  }

 private:
  void fill();

  const std::uint8_t* sizes_ = nullptr;
  const std::uint8_t* bytes_ = nullptr;
  std::uint64_t left_ = 0;
  std::uint32_t at_ = 0;
  std::uint32_t end_ = 0;
  std::uint32_t block_[kBlock + 4];
};

class Runs {
 public:
  // Holds: data was checked.
  explicit Runs(Data data);

  std::uint64_t left() const { return left_; }
  PlaceRun next() {
    --left_;
    const PlaceRun run = run_of(gaps_.next(), base_);
    base_ = run.stop + 1;
    return run;
  }

 private:
  PlaceRun run_of(std::uint32_t number, std::uint64_t base) {
    const std::uint64_t start = base + (number < kBig - 1 ? number >> 1 : big());
    if ((number & 1) == 0) return {start, start + 1};
    const std::uint32_t more = lengths_.next();
    return {start, start + 2 + (more != kBig ? more : big())};
  }
  std::uint64_t big();

  std::uint64_t left_ = 0;
  std::uint64_t base_ = 0;
  const std::uint8_t* bigs_ = nullptr;
  Numbers gaps_;
  Numbers lengths_;
};

// The parts of a vector.
struct Parts {
  std::uint64_t runs = 0;
  std::uint64_t longer = 0;
  const std::uint8_t* gap_sizes = nullptr;
  const std::uint8_t* length_sizes = nullptr;
  const std::uint8_t* gaps = nullptr;
  const std::uint8_t* lengths = nullptr;
  const std::uint8_t* bigs = nullptr;
};

// Runs a block at a time: gaps with their flag, and lengths of all runs. Holds: the vector has no big
// numbers.
class Blocks {
 public:
  static constexpr std::size_t kRuns = 256;

  explicit Blocks(const Parts& parts) : at_(parts), parts_(parts) {}

  // Unpacks the next `most` runs, a multiple of four, or those that are left, and says how many.
  std::size_t read(std::size_t most);
  // Goes on at run `run`, a multiple of four.
  void seek(std::uint64_t run, const Directory::Mark& mark);

  const std::uint32_t* gaps() const { return gaps_; }
  const std::uint64_t* lengths() const { return run_lengths_; }

 private:
  void unpack_lengths(std::size_t most);

  Parts at_;  // what is left to unpack
  Parts parts_;
  std::size_t length_at_ = 0;
  std::size_t length_end_ = 0;
  std::uint32_t gaps_[kRuns + 4];
  std::uint64_t run_lengths_[kRuns];
  std::uint32_t lengths_[2 * kRuns + 8];
};

}  // namespace gap_run

struct GapRun {
  static constexpr Encoding kEncoding = Encoding::gap_run;
  static constexpr std::string_view kName = "gap_run.1";

  class Source {
   public:
    Source(Data data, std::uint64_t row_count) : runs_(data), groups_(group_count<Groups63>(row_count)) {}

    Run<Groups63> next();

   private:
    bool fetch();

    gap_run::Runs runs_;
    std::uint64_t groups_;
    std::uint64_t group_ = 0;  // the open group, whose bits so far are in word_
    std::uint64_t word_ = 0;
    std::uint64_t start_ = 0;  // what is left of the run at hand, in places; start == stop: none
    std::uint64_t stop_ = 0;
  };

  class Sink {
   public:
    explicit Sink(std::uint64_t) {}
    void add(std::uint64_t word, std::uint64_t groups) { runs_.add(word, groups); }
    Bytes take();

   private:
    struct Packed {
      void add(std::uint32_t number);

      Bytes sizes;
      Bytes bytes;
      std::uint64_t count = 0;
    };
    void write_run(std::uint64_t start, std::uint64_t stop);

    struct Take {
      Sink* sink;
      void operator()(std::uint64_t start, std::uint64_t stop) const { sink->write_run(start, stop); }
    };

    Packed gaps_;
    Packed lengths_;
    Bytes bigs_;
    std::uint64_t base_ = 0;
    RowRuns<Groups63, Take> runs_{Take{this}};
  };

  static std::uint64_t check(Data data, std::uint64_t row_count);

  // ORs the rows into one word for each group.
  static void or_into(Data data, std::uint64_t* groups);

  // Without leaps if some gap or length does not fit into 32 bits.
  static Directory directory_of(Data data);

  // Walks the groups forward, to any group, unpacking the blocks it comes to. Holds: the directory has leaps.
  class Cursor {
   public:
    Cursor(Data data, std::uint64_t row_count, const Directory& directory);

    // The run `group` lies in, from that group on. Holds: groups asked for ascend, and lie within.
    Run<Groups63> at(std::uint64_t group);

   private:
    bool load(std::size_t block);
    Run<Groups63> collected(std::uint64_t first, std::uint64_t stop);

    gap_run::Blocks blocks_;
    const Directory* directory_;
    std::uint64_t groups_;
    std::size_t block_ = 0;
    std::size_t at_ = 0;
    std::size_t size_ = 0;
    std::uint64_t starts_[Directory::kRuns];  // in places
    std::uint64_t stops_[Directory::kRuns];
  };

  // Bytes that a sink writes, added up run by run.
  class Size {
   public:
    void add(std::uint64_t start_row, std::uint64_t stop_row);
    std::uint64_t bytes() const;

   private:
    std::uint64_t base_ = 0;
    std::uint64_t runs_ = 0;
    std::uint64_t longer_ = 0;
    std::uint64_t bytes_ = 0;
  };
};
static_assert(Codec<GapRun>);

}  // namespace esker::bitmap
