// What an encoding has to give; everything else is written once over it (operations.cc, unite_all.cc).
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

#include "esker/bitmap/buffer.h"
#include "esker/bitmap/runs.h"

namespace esker::bitmap {

enum class Encoding : std::uint8_t { wah32, wah64, bbc, val, roaring, dense, gap_run };

using Data = std::span<const std::uint8_t>;

// `kName` is what stands in files, with a version. `Source` reads bytes that were checked, and Buffer's slack
// behind them. `Sink` is given the groups of `row_count` rows, no bit set past the last row, and gives the
// one form of the set. `check` takes any bytes and counts the rows set in them, or throws BitmapCorrupt; it
// needs no more memory than a vector of `row_count` rows may.
template <class C>
concept Codec = RunSource<typename C::Source, Groups63> && RunSink<typename C::Sink, Groups63> &&
                std::constructible_from<typename C::Source, Data, std::uint64_t> &&
                std::constructible_from<typename C::Sink, std::uint64_t> &&
                requires(typename C::Sink sink, Data data, std::uint64_t row_count) {
                  { C::kEncoding } -> std::convertible_to<Encoding>;
                  { C::kName } -> std::convertible_to<std::string_view>;
                  { sink.take() } -> std::same_as<Bytes>;
                  { C::check(data, row_count) } -> std::same_as<std::uint64_t>;
                };

// Bytes as words; they lie at a multiple of 16 because Buffer's memory does.
template <class Word>
std::span<const Word> words_of(Data data) {
  return {reinterpret_cast<const Word*>(data.data()), data.size() / sizeof(Word)};
}

}  // namespace esker::bitmap
