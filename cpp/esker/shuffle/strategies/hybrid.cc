#include "esker/shuffle/strategies/hybrid.h"

#include "esker/shuffle/page_managers/hybrid.h"
#include "esker/shuffle/strategies/entries.h"

namespace esker::shuffle {

std::span<const Entry> hybrid() {
  static constexpr Entry all[] = {
      {{"hybrid", "hybrid", true, 0}, &make<Hybrid<HybridPages>>},
  };
  return all;
}

}  // namespace esker::shuffle
