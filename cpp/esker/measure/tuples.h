// Tuples for a simulation (source 002, 1.5): a 32-bit key and data of fixed or variable length, from a
// pseudo-random generator, a batch at a time.
#pragma once

#include <cstdint>
#include <span>

namespace esker::measure {

// Where tuples go. With `offsets` (one more than keys) row i has the bytes from offsets[i] to offsets[i + 1],
// and they are letters; without, all rows have equally many.
struct Tuples {
  std::span<std::uint32_t> keys;
  std::span<std::uint8_t> values;
  std::span<const std::int32_t> offsets;
};

// Draws the offsets of values of `min` to `max` bytes; returns the last one. Throws std::invalid_argument
// when 32 bits do not hold it.
std::int32_t generate_offsets(std::span<std::int32_t> offsets, std::uint32_t min, std::uint32_t max,
                              std::uint64_t seed);

// Fills keys and values. Each batch of rows has a generator of its own, so what comes out does not depend on
// the threads. Throws std::invalid_argument when the sizes do not fit one another.
void generate(const Tuples& tuples, std::uint64_t seed, std::uint64_t batch_rows, std::uint32_t thread_count);

}  // namespace esker::measure
