// The list of encodings: one line here and a file in encodings/ add one.
#pragma once

#include <stdexcept>
#include <string>

#include "esker/bitmap/encodings/bbc.h"
#include "esker/bitmap/encodings/dense.h"
#include "esker/bitmap/encodings/gap_run.h"
#include "esker/bitmap/encodings/roaring.h"
#include "esker/bitmap/encodings/val.h"
#include "esker/bitmap/encodings/wah32.h"
#include "esker/bitmap/encodings/wah64.h"

namespace esker::bitmap {

template <class... Codecs>
struct CodecList {
  // Calls `use` with the codec of an encoding.
  template <class Use>
  static auto visit(Encoding encoding, Use use) {
    using Result = decltype(use(Wah64{}));
    const auto call = [&use](auto codec) { return use(codec); };
    Result (*chosen)(decltype(call)&) = nullptr;
    ((encoding == Codecs::kEncoding
          ? void(chosen = [](decltype(call)& each) -> Result { return each(Codecs{}); })
          : void()),
     ...);
    if (chosen == nullptr) throw std::invalid_argument("no such encoding");
    return chosen(call);
  }

  // The encoding with this name in files.
  static Encoding named(std::string_view name) {
    Encoding found{};
    if (!((Codecs::kName == name ? (found = Codecs::kEncoding, true) : false) || ...))
      throw std::invalid_argument("no encoding " + std::string(name));
    return found;
  }
};

using Codecs = CodecList<Wah32, Wah64, Bbc, Val, Roaring, Dense, GapRun>;

template <class Use>
auto visit(Encoding encoding, Use use) {
  return Codecs::visit(encoding, use);
}

inline std::string_view name_of(Encoding encoding) {
  return visit(encoding, [](auto codec) { return decltype(codec)::kName; });
}

}  // namespace esker::bitmap
