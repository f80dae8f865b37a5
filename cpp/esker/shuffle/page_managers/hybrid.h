// Ad-hoc radix, "hybrid" (source 002, 3.3.3): a thread hands in the histogram of its morsel and is given
// space on the pages at once, partition by partition under its lock, whatever the other threads do.
#pragma once

#include "esker/shuffle/page_managers/page_manager.h"

namespace esker::shuffle {

class HybridPages {
 public:
  explicit HybridPages(Context context) : context_(context) {}

  template <class Copy>
  void assign(Worker& worker, const std::vector<RowRun>& runs, Writing<Copy>& writing) {
    for (RowRun run : runs) {
      const std::size_t list = context_.store.list_of(run.partition);
      while (run.begin < run.end) {
        std::uint64_t bytes_wanted = 0;
        {
          const LockGuard lock(context_.store.locks(), list);
          context_.store.claim(list, run, worker.claims, bytes_wanted);
        }
        writing.claimed();
        if (run.begin < run.end) writing.wait_for_room(bytes_wanted);
      }
    }
  }

 private:
  Context context_;
};

static_assert(AssignsHistograms<HybridPages> && !InsertsRows<HybridPages>);

}  // namespace esker::shuffle
