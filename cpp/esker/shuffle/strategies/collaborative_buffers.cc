#include "esker/shuffle/strategies/collaborative_buffers.h"

#include "esker/shuffle/page_managers/locked_batches.h"
#include "esker/shuffle/page_managers/owned.h"
#include "esker/shuffle/strategies/entries.h"

namespace esker::shuffle {

std::span<const Entry> collaborative_buffers() {
  static constexpr Entry all[] = {
      {{"collaborative_buffers", "owned", true, 0}, &make<CollaborativeBuffers<OwnedPages>>},
      {{"collaborative_buffers", "locked_batches", true, 0}, &make<CollaborativeBuffers<LockedBatchPages>>},
  };
  return all;
}

}  // namespace esker::shuffle
