// A strategy: how rows get from batches to pages. What threads do with pages is the page manager's (see
// there).
#pragma once

#include <memory>
#include <vector>

#include "esker/shuffle/context.h"
#include "esker/shuffle/morsel.h"
#include "esker/shuffle/team.h"

namespace esker::shuffle {

class Strategy {
 public:
  Strategy(Context context, std::uint32_t thread_count) : context_(context), workers_(thread_count) {
    for (std::uint32_t i = 0; i < thread_count; ++i) workers_[i].number = i;
  }
  virtual ~Strategy() = default;
  Strategy(const Strategy&) = delete;
  Strategy& operator=(const Strategy&) = delete;

  // Returns when no batch is needed any more.
  virtual void push(const std::vector<arrow::BatchView>& batches) = 0;
  // Every row is in a page when this returns; more may come.
  virtual void flush() {}
  // No more rows come.
  virtual void finish() { flush(); }

  AccessCounts accesses() const {
    AccessCounts sum;
    for (const Worker& worker : workers_) sum.add(worker.accesses);
    return sum;
  }
  std::uint64_t claim_count() const {
    std::uint64_t sum = 0;
    for (const Worker& worker : workers_) sum += worker.claim_count;
    return sum;
  }
  std::uint64_t morsel_count() const { return morsel_count_; }
  virtual std::uint64_t turn_waits() const { return 0; }

 protected:
  std::uint32_t thread_count() const { return static_cast<std::uint32_t>(workers_.size()); }

  // Where partitions are divided among threads, thread `number` has those from here to the first of the next.
  std::uint32_t first_partition(std::uint32_t number) const {
    return static_cast<std::uint32_t>(std::uint64_t{context_.partition_count()} * number / thread_count());
  }

  // Batches cut into morsels of at most `rows`.
  std::vector<Morsel> cut(const std::vector<arrow::BatchView>& batches, std::int64_t rows) {
    std::vector<Morsel> morsels;
    for (const arrow::BatchView& batch : batches) {
      for (std::int64_t begin = 0; begin < batch.row_count; begin += rows) {
        morsels.push_back({&batch, begin, std::min(rows, batch.row_count - begin)});
      }
    }
    morsel_count_ += morsels.size();
    return morsels;
  }

  Context context_;
  std::vector<Worker> workers_;

 private:
  std::uint64_t morsel_count_ = 0;
};

// A morsel whose rows are referred to, with what is made of it, should stay in the second-level cache; with
// few rows for each partition the cost of a claim shows.
inline std::int64_t sorted_morsel_rows(const Context& context) {
  constexpr std::int64_t kMorselBytes = 512 << 10;
  constexpr std::int64_t kRowsMin = 4096;
  constexpr std::int64_t kRowsPerClaim = 16;
  const auto by_bytes = static_cast<std::int64_t>(kMorselBytes * 8 / context.schema.row_bits());
  const std::int64_t by_claims = std::int64_t{context.partition_count()} * kRowsPerClaim;
  return std::min(kMorselRowsMax, std::max({by_bytes, by_claims, kRowsMin}));
}

// Runs that are not empty.
inline void runs_of(const SortedMorsel& sorted, std::uint32_t first, std::uint32_t last,
                    std::vector<RowRun>& runs) {
  runs.clear();
  for (std::uint32_t p = first; p < last; ++p) {
    const RowRun run = sorted.run(p);
    if (run.begin < run.end) runs.push_back(run);
  }
}

}  // namespace esker::shuffle
