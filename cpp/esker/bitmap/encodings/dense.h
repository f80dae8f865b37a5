// A word of 64 bits for each group of 63 rows, whatever is set: a WAH vector of literals only, so that the
// two are combined without being aligned first. For vectors that have few fills.
//
//   0 | 63 rows, the lowest in bit 0
#pragma once

#include "esker/bitmap/codec.h"
#include "esker/error.h"

namespace esker::bitmap {

struct Dense {
  static constexpr Encoding kEncoding = Encoding::dense;
  static constexpr std::string_view kName = "dense.1";

  class Source {
   public:
    Source(Data data, std::uint64_t) : at_(data.data()), end_(data.data() + data.size()) {}

    Run<Groups63> next() {
      if (at_ == end_) return {};
      const Run<Groups63> run{*reinterpret_cast<const std::uint64_t*>(at_), 1};
      at_ += sizeof run.word;
      return run;
    }

   private:
    const std::uint8_t* at_;
    const std::uint8_t* end_;
  };

  class Sink {
   public:
    explicit Sink(std::uint64_t row_count) { words_.reserve(group_count<Groups63>(row_count)); }
    void add(std::uint64_t word, std::uint64_t groups) {
      for (; groups != 0; --groups) words_.push(word);
    }
    Bytes take() { return std::move(words_).bytes(); }

   private:
    Buffer<std::uint64_t> words_;
  };

  static std::uint64_t check(Data data, std::uint64_t row_count) {
    const auto groups = group_count<Groups63>(row_count);
    if (data.size() % sizeof(std::uint64_t) != 0 || data.size() / sizeof(std::uint64_t) != groups)
      throw BitmapCorrupt("not one word for each group of rows");
    std::uint64_t count = 0;
    for (const std::uint64_t word : words_of<std::uint64_t>(data)) {
      if ((word & ~Groups63::kOnes) != 0) throw BitmapCorrupt("a word of more than 63 rows");
      count += bits_set(word);
    }
    if (groups != 0 && (words_of<std::uint64_t>(data).back() & ~last_group_mask<Groups63>(row_count)) != 0)
      throw BitmapCorrupt("rows past the row count");
    return count;
  }
};
static_assert(Codec<Dense>);

}  // namespace esker::bitmap
