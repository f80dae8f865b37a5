// Work in numbered parts, shared by some threads.
#pragma once

#include <cstdint>
#include <functional>

namespace esker::measure {

// Calls `work(part)` once for each part, from at most `thread_count` threads, the caller's among them; all
// have ended when it returns. Where the machine gives fewer threads those there are do all parts.
void run_parts(std::uint64_t part_count, std::uint32_t thread_count,
               const std::function<void(std::uint64_t)>& work);

}  // namespace esker::measure
