// Any bytes are a vector in its one form or BitmapCorrupt, whatever the row count: vectors of every encoding,
// damaged at random, are checked, read to the last row and combined, under the address sanitizer in `make
// fuzz`.
//
// ESKER_FUZZ_SECONDS says for how long, 2 by default; ESKER_FUZZ_SEED where to begin, so that a failure
// replays.
#include <chrono>

#include "bitmap_vectors.h"

using namespace esker::bitmap;

namespace {

struct Counts {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
};

void damage(Chance& chance, std::vector<std::uint8_t>& bytes) {
  switch (chance.below(6)) {
    case 0:  // shorter or longer
      bytes.resize(chance.below(2) == 0 ? chance.below(bytes.size() + 1) : bytes.size() + chance.below(20));
      return;
    case 1:  // nothing but noise
      bytes.resize(chance.below(80));
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(chance.next());
      return;
    case 2:  // a stretch given twice
      if (const auto start = chance.below(bytes.size() + 1); bytes.size() < 4000)
        bytes.insert(bytes.end(), bytes.begin() + static_cast<std::ptrdiff_t>(start), bytes.end());
      return;
    default:
      for (auto changes = 1 + chance.below(4); changes != 0 && !bytes.empty(); --changes) {
        auto& byte = bytes[chance.below(bytes.size())];
        byte = chance.below(2) == 0 ? static_cast<std::uint8_t>(byte ^ (1u << chance.below(8)))
                                    : static_cast<std::uint8_t>(chance.next());
      }
  }
}

// What a reader may do with a vector that was accepted.
void use(const Vector& vector) {
  if (vector.row_count() > 1 << 20) {
    CHECK(vector.count() <= vector.row_count());
    return;
  }
  const Rows rows = rows_of(vector);
  CHECK(std::ranges::is_sorted(rows) && (rows.empty() || rows.back() < vector.row_count()));
  const Vector again = from_positions(rows, vector.row_count(), Form::fixed(vector.encoding()));
  CHECK(std::ranges::equal(again.data(), vector.data()));
  CHECK(combine(Operation::differ, vector, again).none());
  CHECK(combine(Operation::unite, vector, again).count() == vector.count());
  CHECK(invert(vector).count() == vector.row_count() - vector.count());
}

void try_vector(Chance& chance, Counts& counts) {
  const auto encoding = kEncodings[chance.below(std::size(kEncodings))];
  const std::uint64_t row_count = chance.below(chance.below(3) == 0 ? 100 : 20'000);
  const Vector good = vector_of(random_bits(chance, row_count), Form::fixed(encoding));
  for (int i = 0; i < 30; ++i) {
    std::vector<std::uint8_t> bytes(good.data().begin(), good.data().end());
    damage(chance, bytes);
    std::uint64_t claimed = row_count;
    if (chance.below(8) == 0) claimed = chance.below(2) == 0 ? chance.below(200) : chance.next() >> 1;
    try {
      use(from_data(bytes, claimed, encoding, Form::fixed(encoding)));
      ++counts.accepted;
    } catch (const esker::BitmapCorrupt&) {
      ++counts.refused;
    }
  }
}

std::uint64_t number(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

int main() {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(number("ESKER_FUZZ_SECONDS", 2));
  std::uint64_t seed = number("ESKER_FUZZ_SEED", 1);
  Counts counts;
  for (; Clock::now() < end; ++seed) {
    if (seed % 10'000 == 0) std::fprintf(stderr, "seed %lu\n", static_cast<unsigned long>(seed));
    Chance chance(seed);
    try_vector(chance, counts);
  }
  std::fprintf(stderr, "%lu damaged vectors accepted, %lu refused\n",
               static_cast<unsigned long>(counts.accepted), static_cast<unsigned long>(counts.refused));
  CHECK(counts.accepted > 0 && counts.refused > 0);
}
