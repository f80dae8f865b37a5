// Roaring (Lemire, Kaser, Kurz, Deri, O'Hara, Obry, Ssi-Yan-Kai 2018) with containers of our own; the bytes
// are the portable 64-bit format of github.com/RoaringBitmap/RoaringFormatSpec, run containers included, so
// any Roaring library reads them. They are used as they lie: nothing is unpacked when a vector is opened.
#pragma once

#include "esker/bitmap/codec.h"
#include "esker/bitmap/pieces.h"

namespace esker::bitmap {

struct Roaring {
  static constexpr Encoding kEncoding = Encoding::roaring;
  static constexpr std::string_view kName = "roaring.1";

  enum class Kind : std::uint8_t { array, bits, runs };

  // 2^16 rows of which some are set.
  struct Container {
    Kind kind = Kind::array;
    std::uint64_t first_row = 0;
    std::uint32_t count = 0;  // rows; of runs, runs
    const std::uint8_t* payload = nullptr;
  };

  // Containers in order, from data that was checked.
  class Containers {
   public:
    explicit Containers(Data data);
    bool next(Container& container);

   private:
    void open_bucket();

    const std::uint8_t* at_;  // the next payload, or the next bucket
    std::uint64_t buckets_left_;
    std::uint64_t high_ = 0;
    std::uint32_t containers_ = 0;
    std::uint32_t index_ = 0;
    const std::uint8_t* run_flags_ = nullptr;
    const std::uint8_t* keys_ = nullptr;
  };

  class Pieces {
   public:
    explicit Pieces(Data data) : containers_(data) {}
    Piece next();

   private:
    Piece gap_to(std::uint64_t row);

    Containers containers_;
    Container container_;
    std::uint32_t used_ = 0;   // items of the container that were read
    std::uint32_t items_ = 0;  // items it has
    std::uint64_t row_ = 0;    // the first row no piece was given for
  };

  class Source : public Grouped<Pieces> {
   public:
    Source(Data data, std::uint64_t row_count) : Grouped<Pieces>(Pieces(data), row_count) {}
  };

  class Sink {
   public:
    explicit Sink(std::uint64_t);
    void add(std::uint64_t word, std::uint64_t groups) { runs_.add(word, groups); }
    Bytes take();

   private:
    void add_rows(std::uint64_t start, std::uint64_t stop);
    void close_container();
    void close_bucket();

    struct Take {
      Sink* sink;
      void operator()(std::uint64_t start, std::uint64_t stop) const { sink->add_rows(start, stop); }
    };
    struct Head {
      std::uint16_t key;
      std::uint32_t rows;
      std::uint32_t bytes;
      bool has_runs;
    };
    struct Span {
      std::uint16_t start;
      std::uint16_t last;
    };

    Bytes out_;
    std::uint64_t buckets_ = 0;
    std::uint64_t high_ = 0;  // of the bucket being filled
    Buffer<Head> heads_;      // its containers
    Bytes payloads_;
    std::uint64_t container_ = 0;  // of the container being filled: row / 2^16
    std::uint32_t rows_ = 0;
    Buffer<Span> spans_;
    RowRuns<Groups63, Take> runs_{Take{this}};
  };

  static std::uint64_t check(Data data, std::uint64_t row_count);
};
static_assert(Codec<Roaring>);

}  // namespace esker::bitmap
