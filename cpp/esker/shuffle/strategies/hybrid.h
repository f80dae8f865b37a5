// Ad-hoc radix, "hybrid" (source 002, 3.6.3): a thread sorts references to the rows of its morsel by
// partition, hands in the histogram, and copies each value once, from the input to the space it was given.
//
// Ordered, histograms are handed in in the order of the morsels.
#pragma once

#include "esker/shuffle/page_managers/page_manager.h"
#include "esker/shuffle/strategies/strategy.h"

namespace esker::shuffle {

template <AssignsHistograms Manager>
class Hybrid final : public Strategy {
 public:
  Hybrid(Context context, std::uint32_t thread_count)
      : Strategy(context, thread_count),
        manager_(context),
        turnstile_(context.options.ordered && thread_count > 1),
        sorted_(thread_count),
        runs_(thread_count) {}

  void push(const std::vector<arrow::BatchView>& batches) override {
    const auto morsels = cut(batches, sorted_morsel_rows(context_));
    turnstile_.restart();
    std::atomic<std::size_t> next{0};
    run_team(context_, workers_,
             std::min<std::uint32_t>(thread_count(), static_cast<std::uint32_t>(morsels.size())), &turnstile_,
             [&](Worker& worker) {
               for (std::size_t i = next.fetch_add(1); i < morsels.size(); i = next.fetch_add(1)) {
                 context_.check();
                 place(worker, morsels[i], i);
               }
             });
  }

  std::uint64_t turn_waits() const override { return turnstile_.wait_count(); }

 private:
  void place(Worker& worker, const Morsel& morsel, std::size_t number) {
    SortedMorsel& sorted = sorted_[worker.number];
    std::vector<RowRun>& runs = runs_[worker.number];
    sorted.fill(morsel, context_.schema.columns(), context_.schema.has_views(), context_.partition_of);
    runs_of(sorted, 0, context_.partition_count(), runs);
    const auto copy = [&](const std::vector<Claim>& claims) {
      write(claims, morsel, sorted.rows(), context_.schema, context_.write_options());
    };
    Writing writing(context_, worker, copy, true);
    if (!turnstile_.enter(number)) throw Abandoned();
    manager_.assign(worker, runs, writing);
    turnstile_.leave();
    writing.settle();
    worker.accesses.input_reads += 2 * static_cast<std::uint64_t>(morsel.row_count);
  }

  Manager manager_;
  Turnstile turnstile_;
  std::vector<SortedMorsel> sorted_;
  std::vector<std::vector<RowRun>> runs_;
};

}  // namespace esker::shuffle
