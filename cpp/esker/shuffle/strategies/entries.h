// Every strategy with the page managers that it goes with. Each is instantiated in a file of its own, since
// all of them in one took longer to compile than the rest of the kernel.
#pragma once

#include <memory>
#include <span>

#include "esker/shuffle/shuffle.h"
#include "esker/shuffle/strategies/strategy.h"

namespace esker::shuffle {

using Make = std::unique_ptr<Strategy> (*)(Context, std::uint32_t);

struct Entry {
  Combination combination;
  Make make;
};

template <class Made>
std::unique_ptr<Strategy> make(Context context, std::uint32_t thread_count) {
  return std::make_unique<Made>(context, thread_count);
}

std::span<const Entry> software_managed_buffers();
std::span<const Entry> on_demand();
std::span<const Entry> radix();
std::span<const Entry> hybrid();
std::span<const Entry> thread_local_merge();
std::span<const Entry> collaborative_buffers();
std::span<const Entry> collaborative_units();

}  // namespace esker::shuffle
