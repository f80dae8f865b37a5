// Thread-local pages and merge (source 002, 3.7): buffers go to pages of the thread's own, without any
// sharing; at the end the threads merge what was left part-filled, each some partitions.
#pragma once

#include "esker/shuffle/page_managers/thread_local.h"
#include "esker/shuffle/strategies/software_managed_buffers.h"

namespace esker::shuffle {

class ThreadLocalMerge final : public SoftwareManagedBuffers<ThreadLocalPages> {
 public:
  using SoftwareManagedBuffers::SoftwareManagedBuffers;

  void finish() override {
    SoftwareManagedBuffers::finish();
    if (thread_count() == 1) return;
    context_.store.close_all();
    std::atomic<std::uint32_t> next{0};
    run_team(context_, workers_, thread_count(), nullptr, [&](Worker& worker) {
      for (std::uint32_t p = next.fetch_add(1); p < context_.partition_count(); p = next.fetch_add(1)) {
        manager_.merge(worker, p);
      }
    });
  }
};

}  // namespace esker::shuffle
