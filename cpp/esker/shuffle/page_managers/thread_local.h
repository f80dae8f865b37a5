// Pages of each thread's own, merged when all rows are there (source 002, 3.3.4).
//
// Merging: of each partition, the pages that are not full are sorted by fill, and the rows of those with
// fewer go to those with more. A page that was not emptied closes the gap that is left at its front.
#pragma once

#include "esker/shuffle/page_managers/page_manager.h"

namespace esker::shuffle {

class ThreadLocalPages {
 public:
  explicit ThreadLocalPages(Context context) : context_(context) {}

  template <class Copy>
  void insert(Worker& worker, const RowRun& run, Writing<Copy>& writing) {
    insert_in_list(context_.store, context_.store.list_of(run.partition, worker.number), worker, run, writing,
                   true);
  }

  // Merges the pages of all threads of one partition; by one thread, once everything is written.
  void repair(Worker& worker, std::uint32_t partition);

 private:
  Context context_;
};

static_assert(InsertsRows<ThreadLocalPages> && !AssignsHistograms<ThreadLocalPages>);

}  // namespace esker::shuffle
