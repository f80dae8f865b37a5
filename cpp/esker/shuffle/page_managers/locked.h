// Lock-based, tuple by tuple (source 002, 3.3.1, algorithm 1).
#pragma once

#include "esker/shuffle/page_managers/page_manager.h"

namespace esker::shuffle {

class LockedPages {
 public:
  explicit LockedPages(Context context) : context_(context) {}

  template <class Copy>
  void insert(Worker& worker, const RowRun& run, Writing<Copy>& writing) {
    const std::size_t list = context_.store.list_of(run.partition);
    for (std::uint32_t row = run.begin; row < run.end; ++row) {
      insert_in_list(context_.store, list, worker, {run.partition, row, row + 1, run.heap_ends}, writing,
                     context_.options.optimisations.minimal_locking);
    }
  }

 private:
  Context context_;
};

static_assert(InsertsRows<LockedPages> && !AssignsHistograms<LockedPages>);

}  // namespace esker::shuffle
