#include "esker/shuffle/strategies/collaborative_units.h"

#include "esker/shuffle/page_managers/locked_batches.h"
#include "esker/shuffle/page_managers/owned.h"
#include "esker/shuffle/strategies/entries.h"

namespace esker::shuffle {

std::span<const Entry> collaborative_units() {
  static constexpr Entry all[] = {
      {{"collaborative_units", "owned", true, 0}, &make<CollaborativeUnits<OwnedPages>>},
      {{"collaborative_units", "locked_batches", true, 0}, &make<CollaborativeUnits<LockedBatchPages>>},
  };
  return all;
}

}  // namespace esker::shuffle
