// Lock-based, a batch of tuples at a time (source 002, 3.3.1, algorithm 2): one lock for all rows of a
// buffer.
#pragma once

#include "esker/shuffle/page_managers/page_manager.h"

namespace esker::shuffle {

class LockedBatchPages {
 public:
  explicit LockedBatchPages(Context context) : context_(context) {}

  template <class Copy>
  void insert(Worker& worker, const RowRun& run, Writing<Copy>& writing) {
    insert_in_list(context_.store, context_.store.list_of(run.partition), worker, run, writing,
                   context_.options.optimisations.minimal_locking);
  }

 private:
  Context context_;
};

static_assert(InsertsRows<LockedBatchPages> && !AssignsHistograms<LockedBatchPages>);

}  // namespace esker::shuffle
