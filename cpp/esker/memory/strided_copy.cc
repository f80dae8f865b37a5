#include "esker/memory/strided_copy.h"

#include <algorithm>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define ESKER_WIDE_PERMUTES 1
#endif

namespace esker::memory {
namespace {

template <std::size_t width>
void copy_values(LineWriter& out, const std::uint8_t* from, std::size_t stride, std::uint32_t count) {
  constexpr std::uint32_t kBlock = LineWriter::kRoomBytes / width;
  for (std::uint32_t done = 0; done < count; done += kBlock) {
    const std::uint32_t here = std::min(kBlock, count - done);
    std::uint8_t* const to = out.room(here * width);
    for (std::uint32_t i = 0; i < here; ++i) std::memcpy(to + i * width, from + (done + i) * stride, width);
  }
}

void copy_any(LineWriter& out, const std::uint8_t* from, std::size_t stride, std::size_t width,
              std::uint32_t count) {
  switch (width) {
    case 4:
      return copy_values<4>(out, from, stride, count);
    case 8:
      return copy_values<8>(out, from, stride, count);
    case 12:
      return copy_values<12>(out, from, stride, count);
    case 16:
      return copy_values<16>(out, from, stride, count);
    default:
      for (std::uint32_t i = 0; i < count; ++i) out.add(from + i * stride, width);
  }
}

#ifdef ESKER_WIDE_PERMUTES

constexpr std::uint32_t kRowsAtOnce = 16;
constexpr std::size_t kRowBytes = 16;

// For each line of a column of `words` 32-bit words: where in the two lines of rows it comes from the words
// are.
struct Permutes {
  alignas(64) std::uint32_t index[4][4][4][16];  // [words - 1][first word][line of the column]
  std::uint32_t source[4][4][4];                 // the first of the two lines of rows
};

constexpr Permutes make_permutes() {
  Permutes made{};
  for (std::uint32_t words = 1; words <= 4; ++words) {
    for (std::uint32_t first = 0; first + words <= 4; ++first) {
      for (std::uint32_t line = 0; line < words; ++line) {
        const std::uint32_t source = line * 16 / words / 4;
        made.source[words - 1][first][line] = source;
        for (std::uint32_t i = 0; i < 16; ++i) {
          const std::uint32_t word = line * 16 + i;
          const std::uint32_t row = word / words;
          made.index[words - 1][first][line][i] = (row * 4 + first + word % words - source * 16) % 32;
        }
      }
    }
  }
  return made;
}

constexpr Permutes kPermutes = make_permutes();

// Line `line` of a column, out of the four lines that 16 rows are.
__attribute__((target("avx512f"))) inline __m512i line_of(const std::uint8_t* rows, std::uint32_t first,
                                                          std::uint32_t words, std::uint32_t line) {
  const __m512i index = _mm512_load_si512(kPermutes.index[words - 1][first][line]);
  if (words == 1) {
    const __m512i low =
        _mm512_permutex2var_epi32(_mm512_loadu_si512(rows), index, _mm512_loadu_si512(rows + 64));
    const __m512i high =
        _mm512_permutex2var_epi32(_mm512_loadu_si512(rows + 128), index, _mm512_loadu_si512(rows + 192));
    return _mm512_mask_blend_epi32(0xFF00, low, high);
  }
  const std::uint32_t source = kPermutes.source[words - 1][first][line];
  return _mm512_permutex2var_epi32(_mm512_loadu_si512(rows + source * 64), index,
                                   _mm512_loadu_si512(rows + std::min(source + 1, 3U) * 64));
}

// Straight to lines of the target.
__attribute__((target("avx512f"))) void stream_rows_512(std::uint8_t* to, const std::uint8_t* rows,
                                                        std::uint32_t first, std::uint32_t words,
                                                        std::uint32_t count) {
  for (std::uint32_t done = 0; done < count; done += kRowsAtOnce, rows += kRowsAtOnce * kRowBytes) {
    for (std::uint32_t line = 0; line < words; ++line, to += 64) {
      _mm512_stream_si512(reinterpret_cast<__m512i*>(to), line_of(rows, first, words, line));
    }
  }
}

__attribute__((target("avx512f"))) void copy_rows_512(LineWriter& out, const std::uint8_t* rows,
                                                      std::uint32_t first, std::uint32_t words,
                                                      std::uint32_t count) {
  for (std::uint32_t done = 0; done < count; done += kRowsAtOnce, rows += kRowsAtOnce * kRowBytes) {
    std::uint8_t* const to = out.room(words * 64);
    for (std::uint32_t line = 0; line < words; ++line) {
      _mm512_storeu_si512(to + line * 64, line_of(rows, first, words, line));
    }
  }
}

bool has_wide_permutes() {
  static const bool found = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") != 0;
  }();
  return found;
}
#endif

}  // namespace

void copy_column(std::uint8_t* to, const std::uint8_t* rows, ColumnOfRows column, std::uint32_t count,
                 bool streaming) {
#ifdef ESKER_WIDE_PERMUTES
  if (column.stride == kRowBytes && column.width % 4 == 0 && column.offset % 4 == 0 && column.width > 0 &&
      has_wide_permutes()) {
    const std::uint32_t whole = count / kRowsAtOnce * kRowsAtOnce;
    const auto first = static_cast<std::uint32_t>(column.offset / 4);
    const auto words = static_cast<std::uint32_t>(column.width / 4);
    if (streaming && reinterpret_cast<std::uintptr_t>(to) % kLineBytes == 0) {
      stream_rows_512(to, rows, first, words, whole);
      LineWriter out(to + whole * column.width, streaming);
      copy_any(out, rows + whole * kRowBytes + column.offset, column.stride, column.width, count - whole);
      return;
    }
    LineWriter out(to, streaming);
    copy_rows_512(out, rows, first, words, whole);
    copy_any(out, rows + whole * kRowBytes + column.offset, column.stride, column.width, count - whole);
    return;
  }
#endif
  LineWriter out(to, streaming);
  copy_any(out, rows + column.offset, column.stride, column.width, count);
}

}  // namespace esker::memory
