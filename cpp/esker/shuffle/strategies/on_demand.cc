#include "esker/shuffle/strategies/on_demand.h"

#include "esker/shuffle/page_managers/lock_free.h"
#include "esker/shuffle/page_managers/locked.h"
#include "esker/shuffle/page_managers/locked_batches.h"
#include "esker/shuffle/strategies/entries.h"

namespace esker::shuffle {

std::span<const Entry> on_demand() {
  static constexpr Entry all[] = {
      {{"on_demand", "locked", false, 0}, &make<OnDemand<LockedPages>>},
      {{"on_demand", "locked_batches", false, 0}, &make<OnDemand<LockedBatchPages>>},
      {{"on_demand", "lock_free", false, 0}, &make<OnDemand<LockFreePages>>},
  };
  return all;
}

}  // namespace esker::shuffle
