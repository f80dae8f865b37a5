// Collaborative morsel processing with processing units (source 002, 3.8.3, which gives it no text; decision
// 0005).
//
// All threads work on one morsel at a time. First each sorts references to the rows of its slice by
// partition; when all have met, each is the processing unit of a range of partitions, and copies the rows of
// those from every slice to pages that nobody else writes to. Rows come in the order of the input.
#pragma once

#include "esker/shuffle/page_managers/owned.h"
#include "esker/shuffle/strategies/strategy.h"

namespace esker::shuffle {

template <InsertsRows Manager>
class CollaborativeUnits final : public Strategy {
 public:
  CollaborativeUnits(Context context, std::uint32_t thread_count)
      : Strategy(context, thread_count), manager_(context), slices_(thread_count) {}

  void push(const std::vector<arrow::BatchView>& batches) override {
    // A slice is a morsel in the words of the others: each thread takes one in turn.
    const auto slices = cut(batches, sorted_morsel_rows(context_));
    Meeting meeting(thread_count());
    run_team(
        context_, workers_, thread_count(), nullptr,
        [&](Worker& worker) {
          for (std::size_t first = 0; first < slices.size(); first += thread_count()) {
            sort(worker, slices, first);
            meeting.wait(context_);
            copy(worker, std::min<std::size_t>(thread_count(), slices.size() - first));
            meeting.wait(context_);
          }
        },
        true);
  }

 private:
  void sort(Worker& worker, const std::vector<Morsel>& slices, std::size_t first) {
    if (first + worker.number >= slices.size()) return;
    const Morsel& slice = slices[first + worker.number];
    slices_[worker.number].fill(slice, context_.schema.columns(), context_.schema.has_views(),
                                context_.partition_of);
    worker.accesses.input_reads += 2 * static_cast<std::uint64_t>(slice.row_count);
  }

  void copy(Worker& worker, std::size_t slice_count) {
    const std::uint32_t first = first_partition(worker.number);
    const std::uint32_t last = first_partition(worker.number + 1);
    std::vector<RowRun> runs;
    for (std::size_t i = 0; i < slice_count; ++i) {
      const SortedMorsel& slice = slices_[i];
      const auto write_slice = [&](const std::vector<Claim>& claims) {
        write(claims, slice.morsel(), slice.rows(), context_.schema, context_.write_options());
      };
      Writing writing(context_, worker, write_slice, true);
      runs_of(slice, first, last, runs);
      for (const RowRun& run : runs) manager_.insert(worker, run, writing);
      writing.settle();
    }
  }

  Manager manager_;
  std::vector<SortedMorsel> slices_;
};

}  // namespace esker::shuffle
