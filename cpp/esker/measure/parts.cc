#include "esker/measure/parts.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace esker::measure {

void run_parts(std::uint64_t part_count, std::uint32_t thread_count,
               const std::function<void(std::uint64_t)>& work) {
  std::atomic<std::uint64_t> next{0};
  const auto take = [&] {
    for (std::uint64_t part = next.fetch_add(1); part < part_count; part = next.fetch_add(1)) work(part);
  };
  std::vector<std::thread> threads;
  const auto wanted = std::min<std::uint64_t>(thread_count, part_count);
  threads.reserve(wanted);
  try {
    for (std::uint64_t i = 1; i < wanted; ++i) threads.emplace_back(take);
  } catch (const std::system_error&) {
    // The others take this one's parts.
  }
  take();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace esker::measure
