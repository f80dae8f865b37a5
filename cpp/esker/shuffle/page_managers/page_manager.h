// Page managers: how threads share the pages they write to (source 002, 3.3).
//
// One kind takes the rows of one partition and puts them on its pages; the other is handed the rows of all
// partitions at once, with how many each gets. A strategy says which kind it needs, and the compiler refuses
// the other.
#pragma once

#include <concepts>
#include <vector>

#include "esker/shuffle/context.h"

namespace esker::shuffle {

// Stands for what a strategy copies rows with.
struct AnyCopy {
  void operator()(const std::vector<Claim>& claims) const { (void)claims; }
};

// `insert` puts all rows of a run on pages of its partition.
template <class Manager>
concept InsertsRows =
    requires(Manager manager, Worker& worker, const RowRun& run, Writing<AnyCopy>& writing) {
      { manager.insert(worker, run, writing) } -> std::same_as<void>;
    };

// `assign` claims space for the rows of every partition.
template <class Manager>
concept AssignsHistograms =
    requires(Manager manager, Worker& worker, const std::vector<RowRun>& runs, Writing<AnyCopy>& writing) {
      { manager.assign(worker, runs, writing) } -> std::same_as<void>;
    };

// What has to see to each partition once more when all rows are there.
template <class Manager>
concept RepairsPages = requires(Manager manager, Worker& worker) { manager.repair(worker, std::uint32_t{}); };

// Puts a run on a list's pages: claims under the lock, writes outside, or inside when locking is not to be
// minimal.
template <class Copy>
void insert_in_list(PageStore& store, std::size_t list, Worker& worker, RowRun run, Writing<Copy>& writing,
                    bool minimal_locking) {
  for (bool done = false; !done;) {
    std::uint64_t bytes_wanted = 0;
    {
      const LockGuard lock(store.locks(), list);
      done = store.claim(list, run, worker.claims, bytes_wanted);
      if (!minimal_locking) writing.claimed();
    }
    writing.claimed();
    if (!done) writing.wait_for_room(bytes_wanted);
  }
}

}  // namespace esker::shuffle
