// Which encoding is best for a vector: the rules of the profiles.
#pragma once

#include <cstdint>

#include "esker/bitmap/dense_words.h"
#include "esker/bitmap/vector.h"

namespace esker::bitmap {

// Bytes a vector takes in the encodings that share groups of 63 rows, and what the rules ask besides.
struct Choices {
  std::uint64_t groups = 0;
  std::uint64_t literals = 0;
  std::uint64_t wah64_bytes = 0;
  std::uint64_t gap_run_bytes = 0;

  std::uint64_t dense_bytes() const { return 8 * groups; }
};

// `speed`: dense once more than 3 in 10 groups are neither empty nor full, else WAH64: words that are
// combined as they are.
inline bool is_dense(std::uint64_t literals, std::uint64_t groups) {
  return 10 * literals > 3 * groups;
}

// `size`: the fewest bytes; of equals the fastest: dense, then WAH64, then gap_run.
// `balanced`: what `speed` takes, as long as it is no more than kBalancedPrice times the bytes of gap_run;
// else gap_run.
inline constexpr std::uint64_t kBalancedPriceTenths = 34;

Encoding choose(Profile profile, const Choices& choices);

// The choices for given groups: literals, and bytes of WAH64 and gap_run.
Choices weigh(const Vector& vector);

}  // namespace esker::bitmap
