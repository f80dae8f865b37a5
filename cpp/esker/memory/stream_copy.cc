#include "esker/memory/stream_copy.h"

#include <algorithm>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define ESKER_STREAMING_STORES 1
#endif

namespace esker::memory {
namespace {

// Below this the head and tail that are not whole lines outweigh what streaming saves.
constexpr std::size_t kStreamFromBytes = 2 * kLineBytes;

#ifdef ESKER_STREAMING_STORES

__attribute__((target("avx512f"))) void stream_512(std::uint8_t* to, const std::uint8_t* from,
                                                   std::size_t size) {
  for (std::size_t i = 0; i < size; i += 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_loadu_si512(from + i));
  }
}

// SSE2 is part of x86-64.
void stream_128(std::uint8_t* to, const std::uint8_t* from, std::size_t size) {
  for (std::size_t i = 0; i < size; i += 16) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
  }
}

using Stream = void (*)(std::uint8_t*, const std::uint8_t*, std::size_t);

Stream stream_of_machine() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") != 0 ? &stream_512 : &stream_128;
}

const Stream stream_lines = stream_of_machine();
#endif

}  // namespace

void copy(std::uint8_t* to, const std::uint8_t* from, std::size_t size, bool streaming) {
#ifdef ESKER_STREAMING_STORES
  if (streaming && size >= kStreamFromBytes) {
    const std::size_t head = (kLineBytes - reinterpret_cast<std::uintptr_t>(to) % kLineBytes) % kLineBytes;
    const std::size_t lines = (size - head) / kLineBytes * kLineBytes;
    if (head > 0) copy_short(to, from, head);
    stream_lines(to + head, from + head, lines);
    copy_short(to + head + lines, from + head + lines, size - head - lines);
    return;
  }
#endif
  (void)streaming;
  // The call costs more than a few lines.
  if (size <= 4 * kLineBytes) return copy_short(to, from, size);
  std::memcpy(to, from, size);
}

void fence() {
#ifdef ESKER_STREAMING_STORES
  _mm_sfence();
#endif
}

}  // namespace esker::memory
