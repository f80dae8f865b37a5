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
// When room is needed, this part of the pool is freed at once.
constexpr std::uint64_t kSpillPart = 8;
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

// Writes pages to the file until one of `bytes_wanted` fits the pool; false when that cannot be.
bool Shuffle::spill(std::uint64_t bytes_wanted) {
  const auto fits = [&] { return pool_->free_bytes() >= bytes_wanted; };
  if (fits()) return true;
  if (!spill_file_->usable()) return false;
  const std::uint64_t goal = std::max(bytes_wanted, pool_->budget_bytes() / kSpillPart);
  spill_closed(goal);
  if (!fits()) spill_open(goal);
  return fits();
}

// Full pages first. Partitions are read from the first on, so the last ones can best be spared.
std::uint64_t Shuffle::spill_closed(std::uint64_t bytes_wanted) {
  std::uint64_t freed = 0;
  for (std::uint32_t p = partition_count(); p-- > 0 && freed < bytes_wanted;) {
    auto& pages = partitions_[p].pages();
    for (std::size_t i = partitions_[p].next_read; i < pages.size() && freed < bytes_wanted; ++i) {
      if (pages[i].page.bytes != nullptr && !partitions_[p].is_open(i)) freed += spill_page(p, pages[i]);
    }
  }
  return freed;
}

// Then the pages that are still being filled, the fullest first.
std::uint64_t Shuffle::spill_open(std::uint64_t bytes_wanted) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> by_fill;
  for (std::uint32_t p = 0; p < partition_count(); ++p) {
    const auto& pages = partitions_[p].pages();
    if (pages.empty() || pages.back().page.bytes == nullptr) continue;
    const page::Page& page = pages.back().page;
    by_fill.emplace_back(schema_.payload_bytes(page.row_count, page.layout->page_bytes - page.heap_begin), p);
  }
  std::sort(by_fill.begin(), by_fill.end(), std::greater<>());
  std::uint64_t freed = 0;
  for (const auto& [fill, p] : by_fill) {
    if (freed >= bytes_wanted) break;
    partitions_[p].close();
    freed += spill_page(p, partitions_[p].pages().back());
  }
  return freed;
}

std::uint64_t Shuffle::spill_page(std::uint32_t partition, StoredPage& stored) {
  page::Page& page = stored.page;
  page::seal(page, schema_, partition, true);
  const auto ranges = page::used_ranges(*page.layout, schema_, page.row_count, page.heap_begin);
  stored.file_offset = spill_file_->append(page.bytes, ranges);
  pool_->give_back(page.bytes, page.layout->page_bytes);
  page.bytes = nullptr;
  spilled_bytes_ = spill_file_->bytes();
  ++spilled_pages_;
  return page.layout->page_bytes;
}

void Shuffle::finish() {
  const std::lock_guard lock(mutex_);
  require(State::filling, "finish");
  for (std::uint32_t p = 0; p < partition_count(); ++p) partitions_[p].close();
  workers_.clear();
  workers_.shrink_to_fit();
  state_ = State::finished;
}

std::optional<LeasedPage> Shuffle::next(std::uint32_t partition) {
  std::unique_lock lock(mutex_);
  require(State::finished, "read a partition");
  if (partition >= partition_count()) throw std::out_of_range("no such partition");
  Partition& from = partitions_[partition];
  if (from.next_read == from.pages().size()) return std::nullopt;
  StoredPage stored = from.pages()[from.next_read];
  from.pages()[from.next_read++].page.bytes = nullptr;
  const std::uint64_t page_bytes = stored.page.layout->page_bytes;
  if (stored.page.bytes != nullptr) {
    page::seal(stored.page, schema_, partition, false);
    return LeasedPage{stored.page, std::make_shared<page::PageLease>(pool_, stored.page.bytes, page_bytes)};
  }
  auto lease = std::make_shared<page::PageLease>(pool_, memory_for(page_bytes), page_bytes);
  const std::shared_ptr<const SpillFile> file = spill_file_;
  lock.unlock();
  const auto ranges =
      page::used_ranges(*stored.page.layout, schema_, stored.page.row_count, stored.page.heap_begin);
  file->read(stored.file_offset, lease->bytes(), ranges);
  const std::string place = "spilled page at byte " + std::to_string(stored.file_offset);
  const page::Page page = page::open({lease->bytes(), page_bytes}, schema_, place);
  if (page.row_count != stored.page.row_count || page.heap_begin != stored.page.heap_begin) {
    throw PageCorrupt(place + ": another page than the one that was written there");
  }
  return LeasedPage{page, std::move(lease)};
}

// A consumer that keeps what it reads may hold the whole pool: then its next page comes on top.
std::uint8_t* Shuffle::memory_for(std::uint64_t page_bytes) {
  auto* memory = pool_->allocate(page_bytes);
  if (memory == nullptr && spill(page_bytes)) memory = pool_->allocate(page_bytes);
  return memory != nullptr ? memory : pool_->allocate_over_budget(page_bytes);
}

void Shuffle::free() {
  const std::lock_guard lock(mutex_);
  state_ = State::freed;
  give_back_pages();
  spill_file_.reset();
}

void Shuffle::give_back_pages() noexcept {
  for (Partition& partition : partitions_) {
    for (StoredPage& stored : partition.pages()) {
      if (stored.page.bytes != nullptr) pool_->give_back(stored.page.bytes, stored.page.layout->page_bytes);
      stored.page.bytes = nullptr;
    }
  }
}

std::vector<std::uint64_t> Shuffle::partition_rows() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> rows;
  for (const Partition& partition : partitions_) rows.push_back(partition.row_count());
  return rows;
}

std::vector<std::uint64_t> Shuffle::partition_bytes() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> bytes;
  for (const Partition& partition : partitions_) {
    bytes.push_back(schema_.payload_bytes(partition.row_count(), partition.heap_bytes()));
  }
  return bytes;
}

ShuffleStatistics Shuffle::statistics() const {
  const std::lock_guard lock(mutex_);
  ShuffleStatistics found;
  for (const Partition& partition : partitions_) {
    found.rows += partition.row_count();
    found.payload_bytes += schema_.payload_bytes(partition.row_count(), partition.heap_bytes());
    found.allocated_bytes += partition.allocated_bytes();
    found.pages += partition.pages().size();
    for (const StoredPage& stored : partition.pages()) ++found.pages_by_bytes[stored.page.layout->page_bytes];
  }
  found.claims = claim_count_;
  found.spilled_bytes = spilled_bytes_;
  found.spilled_pages = spilled_pages_;
  found.pool_peak_bytes = pool_->peak_bytes();
  found.morsels = morsel_count_;
  found.lock_waits = turnstile_.wait_count();
  return found;
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
