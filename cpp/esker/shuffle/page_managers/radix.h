// Radix (source 002, 3.3.3): every thread hands in the histogram of its chunk; summed up they say how many
// pages each partition needs, all pages are there before the first row is written, and each thread is given
// chunks of them for itself. Of a page only the count of written rows is shared, and added to once a chunk.
//
// Chunks of a partition follow one another as the input does, so the order of rows does not depend on the
// threads.
#pragma once

#include <vector>

#include "esker/shuffle/page_managers/page_manager.h"

namespace esker::shuffle {

class RadixPages {
 public:
  explicit RadixPages(Context context) : context_(context) {}

  // Allocates for one partition, by one thread: `runs` are the rows of all threads in the order of the input,
  // `claims[i]` gets those of run i. False when there is no room for more before what was claimed is written;
  // `runs` have then moved past what found space.
  bool allocate(std::vector<RowRun>& runs, const std::vector<std::vector<Claim>*>& claims) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const std::size_t list = context_.store.list_of(runs[i].partition);
      while (runs[i].begin < runs[i].end) {
        std::uint64_t bytes_wanted = 0;
        {
          const LockGuard lock(context_.store.locks(), list);
          if (context_.store.claim(list, runs[i], *claims[i], bytes_wanted)) break;
        }
        context_.check();
        if (!context_.store.make_room_at_once(bytes_wanted)) return false;
      }
    }
    return true;
  }

 private:
  Context context_;
};

static_assert(!InsertsRows<RadixPages> && !AssignsHistograms<RadixPages>);

// What needs the histograms of all threads before the first row is placed.
template <class Manager>
concept AllocatesFromHistograms =
    requires(Manager manager, std::vector<RowRun>& runs, const std::vector<std::vector<Claim>*>& claims) {
      { manager.allocate(runs, claims) } -> std::same_as<bool>;
    };
static_assert(AllocatesFromHistograms<RadixPages>);

}  // namespace esker::shuffle
