// On demand (source 002, 3.4): each tuple goes to its page as soon as its partition is known.
#pragma once

#include "esker/shuffle/page_managers/page_manager.h"
#include "esker/shuffle/strategies/strategy.h"

namespace esker::shuffle {

template <InsertsRows Manager>
class OnDemand final : public Strategy {
 public:
  OnDemand(Context context, std::uint32_t thread_count)
      : Strategy(context, thread_count), manager_(context) {}

  void push(const std::vector<arrow::BatchView>& batches) override {
    const auto morsels = cut(batches, kRows);
    std::atomic<std::size_t> next{0};
    run_team(context_, workers_,
             std::min<std::uint32_t>(thread_count(), static_cast<std::uint32_t>(morsels.size())), nullptr,
             [&](Worker& worker) {
               for (std::size_t i = next.fetch_add(1); i < morsels.size(); i = next.fetch_add(1)) {
                 context_.check();
                 place(worker, morsels[i]);
               }
             });
  }

 private:
  // Partition numbers of so many rows are made at a time: they stay in the first-level cache.
  static constexpr std::int64_t kRows = 1024;

  void place(Worker& worker, const Morsel& morsel) {
    std::uint32_t partitions[kRows];
    std::uint32_t heap[kRows];
    context_.partition_of(*morsel.batch, morsel.row_begin, morsel.row_count, partitions);
    const bool has_views = context_.schema.has_views();
    if (has_views)
      measure_heap(*morsel.batch, context_.schema.columns(), morsel.row_begin, morsel.row_count, heap);
    std::uint16_t row = 0;
    const auto copy = [&](const std::vector<Claim>& claims) {
      for (const Claim& claim : claims) write_rows(claim, morsel, &row, context_.schema);
    };
    Writing writing(context_, worker, copy, false);
    for (; row < morsel.row_count; ++row) {
      const std::uint64_t heap_end = has_views ? heap[row] : 0;
      manager_.insert(worker, RowRun{partitions[row], 0, 1, has_views ? &heap_end : nullptr}, writing);
    }
    worker.accesses.input_reads += static_cast<std::uint64_t>(morsel.row_count);
    writing.settle();
  }

  Manager manager_;
};

}  // namespace esker::shuffle
