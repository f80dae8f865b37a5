#include "esker/measure/copy.h"

#include <algorithm>
#include <cstring>

#include "esker/measure/parts.h"

namespace esker::measure {

void copy(const std::uint8_t* from, std::uint8_t* to, std::uint64_t size, std::uint32_t thread_count,
          std::uint32_t repeats) {
  const std::uint64_t parts = std::max(thread_count, 1U);
  // Whole pages, so that no two threads touch one for the first time.
  constexpr std::uint64_t kPageBytes = 4096;
  const std::uint64_t part_bytes = (size / parts / kPageBytes + 1) * kPageBytes;
  run_parts(parts, thread_count, [&](std::uint64_t part) {
    const std::uint64_t begin = std::min(part * part_bytes, size);
    if (begin == size) return;
    for (std::uint32_t i = 0; i < repeats; ++i) {
      std::memcpy(to + begin, from + begin, std::min(part_bytes, size - begin));
    }
  });
}

}  // namespace esker::measure
