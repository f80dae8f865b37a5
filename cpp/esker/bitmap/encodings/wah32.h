// WAH with words of 32 bits and groups of 31 rows: the code of source 004 and of most published figures.
#pragma once

#include "esker/bitmap/codec.h"
#include "esker/bitmap/pieces.h"
#include "esker/bitmap/wah.h"

namespace esker::bitmap {

struct Wah32 {
  static constexpr Encoding kEncoding = Encoding::wah32;
  static constexpr std::string_view kName = "wah32.1";
  using Layout = Groups31;

  class Pieces {
   public:
    explicit Pieces(Data data) : source_(words_of<std::uint32_t>(data)) {}

    Piece next() {
      const auto run = source_.next();
      if (run.groups <= 2 || (run.word != 0 && run.word != Groups31::kOnes))
        return {run.word | (run.groups == 2 ? std::uint64_t{run.word} << 31 : 0), 31 * run.groups};
      return {run.word != 0 ? ~std::uint64_t{0} : 0, 31 * run.groups};
    }

   private:
    wah::Source<Groups31> source_;
  };

  class Source : public Grouped<Pieces> {
   public:
    Source(Data data, std::uint64_t row_count) : Grouped<Pieces>(Pieces(data), row_count) {}
  };

  class Sink {
   public:
    explicit Sink(std::uint64_t row_count) : cap_(row_count, 31) {}
    void add(std::uint64_t word, std::uint64_t groups) { cap_.add(cutter_, word, groups); }
    Bytes take() {
      cap_.finish(cutter_);
      return words_.take().bytes();
    }

   private:
    struct Take {
      wah::Sink<Groups31>* words;
      void operator()(std::uint64_t word, std::uint64_t groups) const {
        words->add(static_cast<std::uint32_t>(word), groups);
      }
    };

    wah::Sink<Groups31> words_;
    UnitCutter<Take> cutter_{31, Take{&words_}};
    RowCap<UnitCutter<Take>> cap_;
  };

  static std::uint64_t check(Data data, std::uint64_t row_count) {
    if (data.size() % sizeof(std::uint32_t) != 0) throw BitmapCorrupt("no whole number of words");
    return wah::check<Groups31>(words_of<std::uint32_t>(data), row_count);
  }
};
static_assert(Codec<Wah32>);

}  // namespace esker::bitmap
