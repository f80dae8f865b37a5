// Sets of rows of every shape, as bits and as vectors.
#pragma once

#include <algorithm>
#include <vector>

#include "check.h"
#include "esker/bitmap/codecs.h"
#include "esker/bitmap/operations.h"
#include "esker/error.h"

using Rows = std::vector<std::uint64_t>;
using Bits = std::vector<bool>;

inline constexpr esker::bitmap::Encoding kEncodings[] = {
    esker::bitmap::Encoding::wah32,   esker::bitmap::Encoding::wah64,   esker::bitmap::Encoding::bbc,
    esker::bitmap::Encoding::val,     esker::bitmap::Encoding::roaring, esker::bitmap::Encoding::dense,
    esker::bitmap::Encoding::gap_run,
};

// Every encoding, and the profiles.
inline std::vector<esker::bitmap::Form> every_form() {
  using esker::bitmap::Form;
  using esker::bitmap::Profile;
  std::vector<Form> forms = {Form::automatic(Profile::speed), Form::automatic(Profile::balanced),
                             Form::automatic(Profile::size)};
  for (const auto encoding : kEncodings) forms.push_back(Form::fixed(encoding));
  return forms;
}

// Stretches of zeros, ones and noise, so that fills begin and end anywhere.
inline Bits random_bits(Chance& chance, std::uint64_t row_count) {
  Bits bits;
  const auto longest = 1 + chance.below(600);
  while (bits.size() < row_count) {
    const auto kind = chance.below(3);
    const auto length = 1 + chance.below(kind == 2 ? 40 : longest);
    for (std::uint64_t i = 0; i < length && bits.size() < row_count; ++i)
      bits.push_back(kind == 1 || (kind == 2 && chance.below(2) != 0));
  }
  return bits;
}

inline Rows rows_of(const Bits& bits) {
  Rows rows;
  for (std::uint64_t row = 0; row < bits.size(); ++row) {
    if (bits[row]) rows.push_back(row);
  }
  return rows;
}

inline Rows rows_of(const esker::bitmap::Vector& vector) {
  Rows rows(vector.count());
  esker::bitmap::positions(vector, rows.data());
  return rows;
}

inline esker::bitmap::Vector vector_of(const Bits& bits, esker::bitmap::Form form) {
  return esker::bitmap::from_positions(rows_of(bits), bits.size(), form);
}

// Same rows, the right count, and the one form that a check accepts.
inline bool is(const esker::bitmap::Vector& vector, const Bits& bits) {
  const auto checked =
      esker::bitmap::from_data(vector.data(), vector.row_count(), vector.encoding(), vector.form());
  return vector.row_count() == bits.size() && vector.count() == checked.count() &&
         rows_of(vector) == rows_of(bits);
}
