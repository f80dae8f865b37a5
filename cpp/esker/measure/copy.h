// The measure of all speeds here: memcpy with some threads.
#pragma once

#include <cstdint>

namespace esker::measure {

// Copies with memcpy, each thread one contiguous part, as many times as `repeats` says: so that what a thread
// takes to start does not count among the copies.
void copy(const std::uint8_t* from, std::uint8_t* to, std::uint64_t size, std::uint32_t thread_count,
          std::uint32_t repeats);

}  // namespace esker::measure
