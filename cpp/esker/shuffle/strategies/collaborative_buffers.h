// Collaborative morsel processing with software-managed buffers (source 002, 3.8.2, which gives it no text;
// decision 0005).
//
// All threads work on one morsel at a time, and share one buffer a partition. First each counts the rows of
// its slice by partition; when all have met, the counts of the slices before it say where in each buffer its
// rows go, so all copy without a lock; when all have met again, each empties the half-full buffers of a range
// of partitions. Rows come in the order of the input, and buffers take the memory of one thread's.
#pragma once

#include <optional>

#include "esker/shuffle/page_managers/owned.h"
#include "esker/shuffle/strategies/buffered.h"

namespace esker::shuffle {

template <InsertsRows Manager>
class CollaborativeBuffers final : public Strategy {
 public:
  CollaborativeBuffers(Context context, std::uint32_t thread_count)
      : Strategy(context, thread_count), manager_(context) {
    for (std::uint32_t i = 0; i < thread_count; ++i) slices_.emplace_back(context_);
  }

  void push(const std::vector<arrow::BatchView>& batches) override {
    if (batches.empty()) return;
    if (!staging_) {
      heap_each_ = heap_per_row(context_, batches.front());
      staging_.emplace(
          context_.schema, context_.partition_count(),
          StagingShape::of(context_.schema, context_.partition_count(),
                           buffer_bytes(context_.options, context_.partition_count()), heap_each_));
    }
    for (const arrow::BatchView& batch : batches) staging_->prepare(batch);
    const auto morsels = cut(batches, slice_rows());
    Meeting meeting(thread_count());
    run_together([&](Worker& worker) {
      for (std::size_t first = 0; first < morsels.size(); first += thread_count()) {
        const std::size_t count = std::min<std::size_t>(thread_count(), morsels.size() - first);
        process(worker, {morsels.data() + first, count}, meeting);
      }
    });
  }

  void flush() override {
    if (!staging_) return;
    run_together([&](Worker& worker) { flush_wanted(worker, [](std::uint32_t) { return true; }); });
  }

  void finish() override {
    flush();
    staging_.reset();
  }

 private:
  // What a thread knows of the slice it has in hand.
  struct Slice {
    explicit Slice(const Context& context)
        : block(context.schema.has_views()),
          rows(context.partition_count()),
          heap(context.partition_count()) {}

    StagingBlock block;
    std::vector<std::uint32_t> rows;  // by partition
    std::vector<std::uint64_t> heap;
    std::vector<std::uint32_t> row_ends;
    std::vector<std::uint32_t> heap_ends;
    SortedMorsel sorted;
  };

  // All slices together fill a quarter of the buffers: as a rule each has room for what falls to it, beside
  // the half that it may hold already.
  std::int64_t slice_rows() const {
    const double buffers = static_cast<double>(context_.partition_count()) / 4 / thread_count();
    double rows = buffers * staging_->shape().rows_max;
    if (heap_each_ > 0) rows = std::min(rows, buffers * staging_->shape().heap_max / heap_each_);
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(rows), 1, StagingBlock::kRowsMax);
  }

  void run_together(const std::function<void(Worker&)>& work) {
    run_team(context_, workers_, thread_count(), nullptr, work, true);
  }

  void process(Worker& worker, std::span<const Morsel> slices, Meeting& meeting) {
    if (worker.number < slices.size()) count(slices_[worker.number], slices[worker.number], worker);
    if (worker.number == 0) overflow_.store(false, std::memory_order_relaxed);
    meeting.wait(context_);
    look_for_room(worker, slices.size());
    meeting.wait(context_);
    if (overflow_.load(std::memory_order_relaxed)) {
      // Too many rows for one partition: past the buffers.
      if (worker.number < slices.size()) sort(slices_[worker.number], slices[worker.number], worker);
      flush_wanted(worker, [](std::uint32_t) { return true; });
      meeting.wait(context_);
      write_sorted(worker, slices.size());
      meeting.wait(context_);
      return;
    }
    if (worker.number < slices.size()) copy_in(worker, slices);
    meeting.wait(context_);
    grow(worker, slices.size());
    flush_wanted(worker, [this](std::uint32_t partition) { return staging_->is_half_full(partition); });
    meeting.wait(context_);
  }

  void count(Slice& slice, const Morsel& morsel, Worker& worker) {
    const auto rows = static_cast<std::uint32_t>(morsel.row_count);
    slice.block.measure(*morsel.batch, morsel.row_begin, rows, context_.schema, context_.partition_of);
    std::fill(slice.rows.begin(), slice.rows.end(), 0);
    std::fill(slice.heap.begin(), slice.heap.end(), 0);
    for (std::uint32_t i = 0; i < rows; ++i) ++slice.rows[slice.block.partitions[i]];
    if (context_.schema.has_views()) {
      for (std::uint32_t i = 0; i < rows; ++i) slice.heap[slice.block.partitions[i]] += slice.block.heap[i];
    }
    worker.accesses.input_reads += rows;
  }

  void look_for_room(const Worker& worker, std::size_t slice_count) {
    for (std::uint32_t p = first_partition(worker.number); p < first_partition(worker.number + 1); ++p) {
      std::uint64_t rows = 0;
      std::uint64_t heap = 0;
      for (std::size_t i = 0; i < slice_count; ++i) {
        rows += slices_[i].rows[p];
        heap += slices_[i].heap[p];
      }
      if (!staging_->has_room(p, rows, heap)) overflow_.store(true, std::memory_order_relaxed);
    }
  }

  void copy_in(Worker& worker, std::span<const Morsel> slices) {
    Slice& own = slices_[worker.number];
    own.row_ends = staging_->next_slots();
    own.heap_ends = staging_->heap_counts();
    for (std::uint32_t before = 0; before < worker.number; ++before) {
      for (std::uint32_t p = 0; p < context_.partition_count(); ++p) {
        own.row_ends[p] += slices_[before].rows[p];
        own.heap_ends[p] += static_cast<std::uint32_t>(slices_[before].heap[p]);
      }
    }
    const Morsel& morsel = slices[worker.number];
    const auto rows = static_cast<std::uint32_t>(morsel.row_count);
    staging_->place(rows, own.block, own.row_ends.data(), own.heap_ends.data());
    staging_->copy_in(*morsel.batch, morsel.row_begin, rows, own.block);
    worker.accesses.buffer_writes += rows;
  }

  void grow(const Worker& worker, std::size_t slice_count) {
    for (std::uint32_t p = first_partition(worker.number); p < first_partition(worker.number + 1); ++p) {
      for (std::size_t i = 0; i < slice_count; ++i) {
        staging_->grow(p, slices_[i].rows[p], static_cast<std::uint32_t>(slices_[i].heap[p]));
      }
    }
  }

  template <class Wanted>
  void flush_wanted(Worker& worker, const Wanted& wanted) {
    const auto copy = [this](const std::vector<Claim>& claims) {
      staging_->write(claims, context_.write_options());
    };
    Writing writing(context_, worker, copy, true);
    const std::uint32_t end = first_partition(worker.number + 1);
    for (std::uint32_t p = first_partition(worker.number); p < end; ++p) {
      if (staging_->rows(p) > 0 && wanted(p)) manager_.insert(worker, staging_->run(p), writing);
    }
    writing.settle();
    for (std::uint32_t p = first_partition(worker.number); p < end; ++p) {
      if (wanted(p)) staging_->clear(p);
    }
  }

  void sort(Slice& slice, const Morsel& morsel, Worker& worker) {
    worker.accesses.input_reads += 2 * static_cast<std::uint64_t>(morsel.row_count);
    slice.sorted.fill(morsel, context_.schema.columns(), context_.schema.has_views(), context_.partition_of);
  }

  void write_sorted(Worker& worker, std::size_t slice_count) {
    std::vector<RowRun> runs;
    for (std::size_t i = 0; i < slice_count; ++i) {
      const SortedMorsel& sorted = slices_[i].sorted;
      const auto copy = [&](const std::vector<Claim>& claims) {
        write(claims, sorted.morsel(), sorted.rows(), context_.schema, context_.write_options());
      };
      Writing writing(context_, worker, copy, true);
      runs_of(sorted, first_partition(worker.number), first_partition(worker.number + 1), runs);
      for (const RowRun& run : runs) manager_.insert(worker, run, writing);
      writing.settle();
    }
  }

  Manager manager_;
  std::deque<Slice> slices_;
  std::optional<Staging> staging_;
  double heap_each_ = 0;
  std::atomic<bool> overflow_{false};
};

}  // namespace esker::shuffle
