#include "esker/bitmap/dense_words.h"

#include <bit>

#include "esker/bitmap/runs.h"

// One source for every processor: each function is compiled for three of them, and the best that runs here is
// chosen once. The compiler makes vectors of these loops; AVX-512 counts bits in them, too.
#if defined(__x86_64__)
#define ESKER_WIDE __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512vpopcntdq,bmi2,popcnt")))
#define ESKER_MIDDLE __attribute__((target("avx2,bmi2,popcnt")))
#define ESKER_INLINE inline __attribute__((always_inline))
#else
#define ESKER_INLINE inline
#endif

namespace esker::bitmap {
namespace {

ESKER_INLINE Tally tally_of(std::uint64_t word) {
  return {static_cast<std::uint64_t>(__builtin_popcountll(word)),
          static_cast<std::uint64_t>(word != 0) & static_cast<std::uint64_t>(word != Groups63::kOnes)};
}

template <Operation kOperation>
ESKER_INLINE std::uint64_t applied(std::uint64_t left, std::uint64_t right) {
  if constexpr (kOperation == Operation::intersect) return left & right;
  if constexpr (kOperation == Operation::unite) return left | right;
  if constexpr (kOperation == Operation::differ) return left ^ right;
  return left & ~right;
}

template <Operation kOperation>
ESKER_INLINE Tally combined(const std::uint64_t* left, const std::uint64_t* right, std::uint64_t* out,
                            std::size_t size) {
  Tally sum;
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint64_t word = applied<kOperation>(left[i], right[i]);
    out[i] = word;
    const Tally one = tally_of(word);
    sum.count += one.count;
    sum.literals += one.literals;
  }
  return sum;
}

ESKER_INLINE Tally dispatched(Operation operation, const std::uint64_t* left, const std::uint64_t* right,
                              std::uint64_t* out, std::size_t size) {
  switch (operation) {
    case Operation::intersect:
      return combined<Operation::intersect>(left, right, out, size);
    case Operation::unite:
      return combined<Operation::unite>(left, right, out, size);
    case Operation::differ:
      return combined<Operation::differ>(left, right, out, size);
    default:
      return combined<Operation::subtract>(left, right, out, size);
  }
}

ESKER_INLINE std::uint64_t both(const std::uint64_t* left, const std::uint64_t* right, std::size_t size) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < size; ++i)
    count += static_cast<std::uint64_t>(__builtin_popcountll(left[i] & right[i]));
  return count;
}

ESKER_INLINE Tally tallied(const std::uint64_t* words, std::size_t size) {
  Tally sum;
  for (std::size_t i = 0; i < size; ++i) {
    const Tally one = tally_of(words[i]);
    sum.count += one.count;
    sum.literals += one.literals;
  }
  return sum;
}

ESKER_INLINE void united(std::uint64_t* out, const std::uint64_t* words, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) out[i] |= words[i];
}

template <bool kLow, bool kHigh>
ESKER_INLINE void compare_bit(Comparison state, const std::uint64_t* __restrict slice, std::size_t size) {
  std::uint64_t* __restrict const greater = state.greater;
  std::uint64_t* __restrict const equal_low = state.equal_low;
  std::uint64_t* __restrict const less = state.less;
  std::uint64_t* __restrict const equal_high = state.equal_high;
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint64_t bits = slice[i];
    if constexpr (!kLow) greater[i] |= equal_low[i] & bits;
    equal_low[i] &= kLow ? bits : ~bits;
    if constexpr (kHigh) less[i] |= equal_high[i] & ~bits;
    equal_high[i] &= kHigh ? bits : ~bits;
  }
}

ESKER_INLINE void compared(Comparison state, const std::uint64_t* slice, bool low, bool high,
                           std::size_t size) {
  if (low)
    return high ? compare_bit<true, true>(state, slice, size) : compare_bit<true, false>(state, slice, size);
  return high ? compare_bit<false, true>(state, slice, size) : compare_bit<false, false>(state, slice, size);
}

struct Loops {
  Tally (*combine)(Operation, const std::uint64_t*, const std::uint64_t*, std::uint64_t*, std::size_t);
  std::uint64_t (*intersect_count)(const std::uint64_t*, const std::uint64_t*, std::size_t);
  Tally (*tally)(const std::uint64_t*, std::size_t);
  void (*unite)(std::uint64_t*, const std::uint64_t*, std::size_t);
  void (*compare)(Comparison, const std::uint64_t*, bool, bool, std::size_t);
};

#define ESKER_LOOPS(attribute, name)                                                                         \
  attribute Tally combine_##name(Operation operation, const std::uint64_t* left, const std::uint64_t* right, \
                                 std::uint64_t* out, std::size_t size) {                                     \
    return dispatched(operation, left, right, out, size);                                                    \
  }                                                                                                          \
  attribute std::uint64_t both_##name(const std::uint64_t* left, const std::uint64_t* right,                 \
                                      std::size_t size) {                                                    \
    return both(left, right, size);                                                                          \
  }                                                                                                          \
  attribute Tally tally_##name(const std::uint64_t* words, std::size_t size) {                               \
    return tallied(words, size);                                                                             \
  }                                                                                                          \
  attribute void unite_##name(std::uint64_t* out, const std::uint64_t* words, std::size_t size) {            \
    united(out, words, size);                                                                                \
  }                                                                                                          \
  attribute void compare_##name(Comparison state, const std::uint64_t* slice, bool low, bool high,           \
                                std::size_t size) {                                                          \
    compared(state, slice, low, high, size);                                                                 \
  }                                                                                                          \
  constexpr Loops name##_loops = {combine_##name, both_##name, tally_##name, unite_##name, compare_##name};

ESKER_LOOPS(, plain)
#if defined(__x86_64__)
ESKER_LOOPS(ESKER_MIDDLE, middle)
ESKER_LOOPS(ESKER_WIDE, wide)
#endif
#undef ESKER_LOOPS

const Loops& loops() {
  static const Loops* const chosen = [] {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vpopcntdq") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
        __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0)
      return &wide_loops;
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi2") != 0 &&
        __builtin_cpu_supports("popcnt") != 0)
      return &middle_loops;
#endif
    return &plain_loops;
  }();
  return *chosen;
}

}  // namespace

Tally combine_words(Operation operation, const std::uint64_t* left, const std::uint64_t* right,
                    std::uint64_t* out, std::size_t size) {
  return loops().combine(operation, left, right, out, size);
}

std::uint64_t intersect_count_words(const std::uint64_t* left, const std::uint64_t* right, std::size_t size) {
  return loops().intersect_count(left, right, size);
}

Tally tally_words(const std::uint64_t* words, std::size_t size) {
  return loops().tally(words, size);
}

void compare_words(Comparison state, const std::uint64_t* slice, bool low, bool high, std::size_t size) {
  loops().compare(state, slice, low, high, size);
}

void unite_words(std::uint64_t* out, const std::uint64_t* words, std::size_t size) {
  loops().unite(out, words, size);
}

}  // namespace esker::bitmap
