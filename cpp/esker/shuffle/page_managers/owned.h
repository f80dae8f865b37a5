// Pages of partitions that each have one thread: nobody else writes to them, and the lock is only for who
// spills.
#pragma once

#include "esker/shuffle/page_managers/page_manager.h"

namespace esker::shuffle {

class OwnedPages {
 public:
  explicit OwnedPages(Context context) : context_(context) {}

  template <class Copy>
  void insert(Worker& worker, const RowRun& run, Writing<Copy>& writing) {
    insert_in_list(context_.store, context_.store.list_of(run.partition), worker, run, writing, true);
  }

 private:
  Context context_;
};

static_assert(InsertsRows<OwnedPages> && !AssignsHistograms<OwnedPages>);

}  // namespace esker::shuffle
