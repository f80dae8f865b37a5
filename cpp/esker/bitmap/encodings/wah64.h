// WAH with words of 64 bits and groups of 63 rows: fast to combine, poor where rows lie scattered thinly.
#pragma once

#include "esker/bitmap/codec.h"
#include "esker/bitmap/wah.h"

namespace esker::bitmap {

struct Wah64 {
  static constexpr Encoding kEncoding = Encoding::wah64;
  static constexpr std::string_view kName = "wah64.1";
  using Layout = Groups63;

  class Source : public wah::Source<Groups63> {
   public:
    Source(Data data, std::uint64_t) : wah::Source<Groups63>(words_of<std::uint64_t>(data)) {}
  };

  class Sink : public wah::Sink<Groups63> {
   public:
    explicit Sink(std::uint64_t) {}
    Bytes take() { return wah::Sink<Groups63>::take().bytes(); }
  };

  static std::uint64_t check(Data data, std::uint64_t row_count) {
    if (data.size() % sizeof(std::uint64_t) != 0) throw BitmapCorrupt("no whole number of words");
    return wah::check<Groups63>(words_of<std::uint64_t>(data), row_count);
  }
};
static_assert(Codec<Wah64>);

}  // namespace esker::bitmap
