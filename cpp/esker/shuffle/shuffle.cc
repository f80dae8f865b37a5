#include "esker/shuffle/shuffle.h"

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>

#include "esker/error.h"

namespace esker::shuffle {
namespace {

// A morsel and what is made of it should stay in the second-level cache.
constexpr std::uint64_t kMorselBytes = 512 << 10;
constexpr std::int64_t kMorselRowsMin = 4096;
// With fewer rows than this for each partition the cost of a claim shows.
constexpr std::int64_t kRowsPerClaim = 16;
constexpr std::uint32_t kThreadsMax = 256;

std::int64_t morsel_rows(const page::PageSchema& schema, std::uint32_t partition_count) {
  const auto by_bytes = static_cast<std::int64_t>(kMorselBytes * 8 / schema.row_bits());
  const std::int64_t by_claims = std::int64_t{partition_count} * kRowsPerClaim;
  return std::min(kMorselRowsMax, std::max({by_bytes, by_claims, kMorselRowsMin}));
}

}  // namespace

Shuffle::Shuffle(std::vector<arrow::ColumnType> columns, std::vector<int> keys, std::uint32_t partition_count,
                 std::shared_ptr<page::PagePool> pool, const ShuffleOptions& options)
    : schema_(std::move(columns)),
      partition_of_(options.function, schema_.columns(), std::move(keys), partition_count, options.seed),
      pool_(std::move(pool)),
      options_(options),
      sizes_(schema_, partition_count, pool_->budget_bytes(), options.page_bytes_max),
      partitions_(partition_count),
      workers_(std::clamp(options.thread_count, 1U, kThreadsMax)),
      turnstile_(options.ordered),
      spill_file_(std::make_shared<SpillFile>(options.spill_fd, options.spill_limit_bytes)) {}

Shuffle::~Shuffle() {
  give_back_pages();
}

void Shuffle::push(const std::vector<arrow::BatchView>& batches) {
  const std::lock_guard lock(mutex_);
  require(State::filling, "push");
  const auto morsels = morsels_of(batches);
  if (morsels.empty()) return;
  turnstile_.restart();
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  const std::size_t thread_count = std::min(workers_.size(), morsels.size());
  state_ = State::failed;  // until all is well
  try {
    for (std::size_t i = 1; i < thread_count; ++i) {
      threads.emplace_back([this, i, &morsels, &next] { work(workers_[i], morsels, next); });
    }
  } catch (const std::system_error&) {
    // The machine gives no more threads: those there are do the work.
  }
  work(workers_[0], morsels, next);
  for (std::thread& thread : threads) thread.join();
  for (Worker& worker : workers_) {
    if (worker.error) std::rethrow_exception(worker.error);
  }
  morsel_count_ += morsels.size();
  for (Worker& worker : workers_) claim_count_ += std::exchange(worker.claim_count, 0);
  state_ = State::filling;
}

std::vector<Morsel> Shuffle::morsels_of(const std::vector<arrow::BatchView>& batches) const {
  const std::int64_t rows = morsel_rows(schema_, partition_count());
  std::vector<Morsel> morsels;
  for (const arrow::BatchView& batch : batches) {
    for (std::int64_t begin = 0; begin < batch.row_count; begin += rows) {
      morsels.push_back({&batch, begin, std::min(rows, batch.row_count - begin)});
    }
  }
  return morsels;
}

void Shuffle::work(Worker& worker, const std::vector<Morsel>& morsels, std::atomic<std::size_t>& next) {
  try {
    for (std::size_t i = next.fetch_add(1); i < morsels.size(); i = next.fetch_add(1)) {
      if (interrupted_.load(std::memory_order_relaxed)) throw Interrupted("the shuffle was interrupted");
      worker.buffers.fill(morsels[i], schema_.columns(), schema_.has_views(), partition_of_);
      if (!place(worker, i)) return;
    }
  } catch (...) {
    worker.error = std::current_exception();
    turnstile_.fail();
  }
}

// Claims space for the worker's buffers and writes them; false when another thread failed.
bool Shuffle::place(Worker& worker, std::size_t number) {
  const MorselBuffers& buffers = worker.buffers;
  worker.claims.clear();
  if (!turnstile_.enter(number)) return false;
  for (std::uint32_t p = 0; p < partition_count(); ++p) {
    const std::uint32_t end = buffers.begin(p + 1);
    std::uint64_t heap_bytes = buffers.heap_bytes(p);
    for (std::uint32_t begin = buffers.begin(p); begin < end;) {
      const std::uint64_t heap_before = partitions_[p].heap_bytes();
      std::uint64_t bytes_wanted = 0;
      begin += partitions_[p].claim(buffers, begin, end, heap_bytes, schema_, sizes_, *pool_, worker.claims,
                                    bytes_wanted);
      heap_bytes -= partitions_[p].heap_bytes() - heap_before;
      if (begin < end && !make_room_inside(worker, bytes_wanted)) return false;
    }
  }
  turnstile_.leave();
  write(worker.claims, buffers.morsel(), schema_);
  worker.claim_count += worker.claims.size();
  turnstile_.written();
  return true;
}

// From inside the turnstile: writes the worker's claims so far, so that no page is in use, and spills.
bool Shuffle::make_room_inside(Worker& worker, std::uint64_t bytes_wanted) {
  write(worker.claims, worker.buffers.morsel(), schema_);
  worker.claim_count += worker.claims.size();
  worker.claims.clear();
  if (!turnstile_.wait_until_written()) return false;
  if (!spill(bytes_wanted)) throw PoolExhausted(bytes_wanted, pool_->budget_bytes());
  return true;
}

void Shuffle::finish() {
  const std::lock_guard lock(mutex_);
  require(State::filling, "finish");
  for (std::uint32_t p = 0; p < partition_count(); ++p) partitions_[p].close();
  workers_.clear();
  workers_.shrink_to_fit();
  state_ = State::finished;
}

std::uint64_t Shuffle::overhead_bytes(std::uint32_t partition_count, std::uint32_t thread_count) {
  return thread_count * MorselBuffers::bytes_max(partition_count) +
         std::uint64_t{partition_count} * sizeof(Partition);
}

void Shuffle::require(State state, const char* what) const {
  if (state_ == state) return;
  throw std::logic_error(std::string("cannot ") + what + ": the shuffle is " +
                         (state_ == State::filling    ? "not finished"
                          : state_ == State::finished ? "finished"
                          : state_ == State::freed    ? "freed"
                                                      : "broken by an earlier error"));
}

}  // namespace esker::shuffle
