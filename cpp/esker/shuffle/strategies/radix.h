// Radix (source 002, 3.6.2): all threads count, then all pages are allocated, then all threads write.
//
// The source needs the whole input for that. Here it is done in rounds of some morsels a thread, so that
// input may come in pieces of any length, and pages of one round can be spilled in the next. Rows come in the
// order of the input.
#pragma once

#include <span>

#include "esker/shuffle/page_managers/radix.h"
#include "esker/shuffle/strategies/strategy.h"

namespace esker::shuffle {

template <AllocatesFromHistograms Manager>
class Radix final : public Strategy {
 public:
  Radix(Context context, std::uint32_t thread_count)
      : Strategy(context, thread_count),
        manager_(context),
        sorted_(thread_count * kMorselsEach),
        allocations_(thread_count) {}

  void push(const std::vector<arrow::BatchView>& batches) override {
    const auto morsels = cut(batches, morsel_rows(batches));
    Meeting meeting(thread_count());
    run_team(
        context_, workers_, thread_count(), nullptr,
        [&](Worker& worker) {
          for (std::size_t first = 0; first < morsels.size(); first += sorted_.size()) {
            const std::size_t count = std::min(sorted_.size(), morsels.size() - first);
            round(worker, {morsels.data() + first, count}, meeting);
          }
        },
        true);
  }

 private:
  // So many morsels a thread has in a round.
  static constexpr std::size_t kMorselsEach = 4;
  // Of the pool, what the rows of one round may take.
  static constexpr std::uint64_t kRoundPart = 8;

  std::int64_t morsel_rows(const std::vector<arrow::BatchView>& batches) const {
    std::uint64_t rows = 0;
    std::uint64_t heap = 0;
    std::vector<std::uint32_t> lengths;
    for (const arrow::BatchView& batch : batches) {
      rows += static_cast<std::uint64_t>(batch.row_count);
      if (!context_.schema.has_views()) continue;
      lengths.resize(static_cast<std::size_t>(batch.row_count));
      measure_heap(batch, context_.schema.columns(), 0, batch.row_count, lengths.data());
      for (const std::uint32_t length : lengths) heap += length;
    }
    const std::uint64_t row_bytes =
        context_.schema.payload_bytes(rows, heap) / std::max<std::uint64_t>(rows, 1) + 1;
    const std::uint64_t round_rows = context_.store.pool_bytes() / kRoundPart / row_bytes;
    const auto most = static_cast<std::int64_t>(round_rows / sorted_.size());
    return std::clamp<std::int64_t>(most, 1, sorted_morsel_rows(context_));
  }

  void round(Worker& worker, std::span<const Morsel> morsels, Meeting& meeting) {
    for (std::size_t i = worker.number; i < morsels.size(); i += thread_count()) {
      Chunk& chunk = sorted_[i];
      chunk.rows.fill(morsels[i], context_.schema.columns(), context_.schema.has_views(),
                      context_.partition_of);
      chunk.claims.resize(thread_count());
      worker.accesses.input_reads += 2 * static_cast<std::uint64_t>(morsels[i].row_count);
    }
    Allocation& own = allocations_[worker.number];
    own.next = first_partition(worker.number);
    own.runs.clear();
    meeting.wait(context_);
    // As a rule once. Where the pool cannot hold all pages of a round, those it can hold are written first.
    for (bool done = false; !done;) {
      own.barren = false;
      own.done = allocate(worker, own, morsels.size());
      meeting.wait(context_);
      done = std::all_of(allocations_.begin(), allocations_.end(),
                         [](const Allocation& each) { return each.done; });
      if (!write_claimed(worker, morsels) && !done) own.barren = true;
      meeting.wait(context_);
      if (!done && std::all_of(allocations_.begin(), allocations_.end(),
                               [](const Allocation& a) { return a.barren; })) {
        throw PoolExhausted(context_.schema.regions_end(1), context_.store.pool_bytes());
      }
      meeting.wait(context_);
    }
  }

  // False when there was nothing to write.
  bool write_claimed(Worker& worker, std::span<const Morsel> morsels) {
    bool any = false;
    for (std::size_t i = worker.number; i < morsels.size(); i += thread_count()) {
      for (std::vector<Claim>& claims : sorted_[i].claims) {
        if (claims.empty()) continue;
        any = true;
        write(claims, morsels[i], sorted_[i].rows.rows(), context_.schema, context_.write_options());
        worker.wrote(claims);
        claims.clear();
      }
    }
    worker.publish_all();
    return any;
  }

  // How far a thread is with the range of partitions it allocates for.
  struct Allocation {
    std::uint32_t next = 0;
    std::vector<RowRun> runs;  // of a partition that is not done yet
    bool done = false;
    bool barren = false;
  };

  bool allocate(const Worker& worker, Allocation& own, std::size_t morsel_count) {
    std::vector<std::vector<Claim>*> claims;
    for (std::size_t i = 0; i < morsel_count; ++i) claims.push_back(&sorted_[i].claims[worker.number]);
    for (; own.next < first_partition(worker.number + 1); ++own.next) {
      if (own.runs.empty()) {
        for (std::size_t i = 0; i < morsel_count; ++i) own.runs.push_back(sorted_[i].rows.run(own.next));
      }
      if (!manager_.allocate(own.runs, claims)) return false;
      own.runs.clear();
    }
    return true;
  }

  // A sorted morsel, and the space each allocating thread found for its rows.
  struct Chunk {
    SortedMorsel rows;
    std::vector<std::vector<Claim>> claims;
  };

  Manager manager_;
  std::vector<Chunk> sorted_;
  std::vector<Allocation> allocations_;
};

}  // namespace esker::shuffle
