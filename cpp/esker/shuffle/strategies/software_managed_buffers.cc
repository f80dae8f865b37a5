#include "esker/shuffle/strategies/software_managed_buffers.h"

#include "esker/shuffle/page_managers/chunked.h"
#include "esker/shuffle/page_managers/lock_free.h"
#include "esker/shuffle/page_managers/locked.h"
#include "esker/shuffle/page_managers/locked_batches.h"
#include "esker/shuffle/strategies/entries.h"

namespace esker::shuffle {

std::span<const Entry> software_managed_buffers() {
  static constexpr Entry all[] = {
      {{"software_managed_buffers", "locked_batches", true, 0},
       &make<SoftwareManagedBuffers<LockedBatchPages>>},
      {{"software_managed_buffers", "locked", true, 0}, &make<SoftwareManagedBuffers<LockedPages>>},
      {{"software_managed_buffers", "lock_free", true, 0}, &make<SoftwareManagedBuffers<LockFreePages>>},
      {{"software_managed_buffers", "chunked", false, 0}, &make<SoftwareManagedBuffers<ChunkedPages>>},
  };
  return all;
}

}  // namespace esker::shuffle
