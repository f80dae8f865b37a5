// Loops over words with nothing to decide in them, in the widest instructions the processor has.
#pragma once

#include <cstddef>
#include <cstdint>

namespace esker::bitmap {

// What a stretch of groups of 63 holds.
struct Tally {
  std::uint64_t count = 0;     // rows set
  std::uint64_t literals = 0;  // groups neither empty nor full
};

enum class Operation : std::uint8_t { intersect, unite, differ, subtract };

// Writes operation(left, right) to `out`, which may be one of them.
Tally combine_words(Operation operation, const std::uint64_t* left, const std::uint64_t* right,
                    std::uint64_t* out, std::size_t size);

// Rows set in both.
std::uint64_t intersect_count_words(const std::uint64_t* left, const std::uint64_t* right, std::size_t size);

Tally tally_words(const std::uint64_t* words, std::size_t size);

// ORs into `out`.
void unite_words(std::uint64_t* out, const std::uint64_t* words, std::size_t size);

// Numbers that are compared with two others bit by bit, from the highest bit down (O'Neil and Quass 1997):
// for each row whether what was seen of its number is greater than `low` or still equal to it, and less than
// `high` or still equal to it.
struct Comparison {
  std::uint64_t* greater;
  std::uint64_t* equal_low;
  std::uint64_t* less;
  std::uint64_t* equal_high;
};

// Goes on with the next bit: of the numbers in `slice`, of the bounds in `low` and `high`.
void compare_words(Comparison state, const std::uint64_t* slice, bool low, bool high, std::size_t size);

}  // namespace esker::bitmap
