// Vectors read a window of groups at a time, so that what is done to many at once takes the memory of a
// window, not of all rows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "esker/bitmap/vector.h"

namespace esker::bitmap {

// 2 MiB of words: within the second-level cache of most processors.
inline constexpr std::uint64_t kWindowGroups = std::uint64_t{1} << 18;

class WindowReader {
 public:
  explicit WindowReader(const Vector& vector) : stream_(vector) {}

  // Calls take(offset, word, groups) for what is set in the next `size` groups.
  template <class Take>
  void read(std::uint64_t size, Take take) {
    for (std::uint64_t offset = 0; offset != size;) {
      if (run_.groups == 0) run_ = stream_.next();
      if (run_.groups == 0) return;
      const std::uint64_t groups = std::min(run_.groups, size - offset);
      if (run_.word != 0) take(offset, run_.word, groups);
      run_.groups -= groups;
      offset += groups;
    }
  }

 private:
  RunStream stream_;
  Run<Groups63> run_;
};

}  // namespace esker::bitmap
