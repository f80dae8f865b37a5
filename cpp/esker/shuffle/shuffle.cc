#include "esker/shuffle/shuffle.h"

#include <algorithm>
#include <stdexcept>

#include "esker/error.h"
#include "esker/page/page_join.h"
#include "esker/shuffle/strategies/entries.h"
#include "esker/shuffle/strategies/software_managed_buffers.h"

namespace esker::shuffle {
namespace {

constexpr std::uint32_t kThreadsMax = 256;
// From here on a page that is right as it is is handed on: a copy would cost more than another batch.
constexpr std::uint64_t kAloneBytes = 32 << 10;
// Sizes of joined batches are rounded, so that their memory is soon used again.
constexpr std::uint64_t kJoinedUnitBytes = 256 << 10;
constexpr std::uint64_t kJoinedUnitBytesMin = 16 << 10;

std::uint64_t joined_bytes(std::uint64_t bytes) {
  return page::round_up(std::max<std::uint64_t>(bytes, 1),
                        bytes < kJoinedUnitBytes ? kJoinedUnitBytesMin : kJoinedUnitBytes);
}

// The product of strategies and page managers, as far as the types allow it.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = [] {
    std::vector<Entry> found;
    for (const auto each : {software_managed_buffers(), on_demand(), radix(), hybrid(), thread_local_merge(),
                            collaborative_buffers(), collaborative_units()}) {
      found.insert(found.end(), each.begin(), each.end());
    }
    return found;
  }();
  return all;
}

Make make_of(const Combination& combination) {
  for (const Entry& entry : entries()) {
    if (entry.combination.strategy == combination.strategy && entry.combination.pages == combination.pages) {
      return entry.make;
    }
  }
  throw std::invalid_argument("no such combination");
}

std::uint32_t threads_of(const ShuffleOptions& options) {
  return std::clamp(options.thread_count, 1U, kThreadsMax);
}

std::uint32_t lists_of(const Combination& combination, std::uint32_t thread_count) {
  return combination.lists_each > 0 ? combination.lists_each * thread_count : 1;
}

void require_order(const Combination& combination, const ShuffleOptions& options,
                   std::uint32_t thread_count) {
  if (!options.ordered || thread_count == 1 || combination.ordered) return;
  throw std::invalid_argument("strategy '" + std::string(combination.strategy) +
                              "' gives rows in the order of arrival when it has several threads");
}

// Columns at the end that no page holds: they only say the partition.
std::vector<arrow::ColumnType> held(std::vector<arrow::ColumnType> columns, std::uint32_t key_only_columns) {
  if (key_only_columns >= columns.size()) throw std::invalid_argument("every column is only a key");
  columns.resize(columns.size() - key_only_columns);
  return columns;
}

}  // namespace

const std::vector<Combination>& combinations() {
  static const std::vector<Combination> all = [] {
    std::vector<Combination> found;
    for (const Entry& entry : entries()) found.push_back(entry.combination);
    return found;
  }();
  return all;
}

const Combination& combination(std::string_view strategy, std::string_view pages) {
  std::string there;
  for (const Combination& found : combinations()) {
    if (found.strategy != strategy) continue;
    if (pages.empty() || found.pages == pages) return found;
    there += (there.empty() ? "" : ", ") + std::string(found.pages);
  }
  if (there.empty()) throw std::invalid_argument("no shuffle strategy '" + std::string(strategy) + "'");
  throw std::invalid_argument("strategy '" + std::string(strategy) + "' does not go with page manager '" +
                              std::string(pages) + "'; there is: " + there);
}

Shuffle::Shuffle(std::vector<arrow::ColumnType> columns, std::vector<int> keys, std::uint32_t partition_count,
                 std::shared_ptr<page::PagePool> pool, const Combination& combination,
                 const ShuffleOptions& options)
    : columns_(std::move(columns)),
      schema_(held(columns_, options.key_only_columns)),
      came_as_held_(page::came_as_held(schema_)),
      partition_of_(options.function, columns_, std::move(keys), partition_count, options.seed,
                    options.optimisations.power_of_two),
      pool_(std::move(pool)),
      options_(options),
      store_(schema_, partition_count, lists_of(combination, threads_of(options)), pool_,
             options.page_bytes_max, options.spill_fd, options.spill_limit_bytes,
             options.optimisations.padded_locks) {
  const std::uint32_t thread_count = threads_of(options);
  const Context context{schema_, partition_of_, store_, options_, interrupted_};
  try {
    require_order(combination, options, thread_count);
    strategy_ = make_of(combination)(context, thread_count);
  } catch (...) {
    // Only a shuffle that was made owns the descriptor.
    store_.release_spill_fd();
    throw;
  }
}

Shuffle::~Shuffle() {
  strategy_.reset();
}

void Shuffle::push(const std::vector<arrow::BatchView>& batches) {
  const std::lock_guard lock(mutex_);
  require(State::filling, "push");
  state_ = State::failed;  // until all is well
  strategy_->push(batches);
  state_ = State::filling;
}

void Shuffle::flush() {
  const std::lock_guard lock(mutex_);
  require(State::filling, "flush");
  state_ = State::failed;
  strategy_->flush();
  store_.close_all();
  state_ = State::filling;
}

std::optional<LeasedPage> Shuffle::ready(std::uint32_t partition) {
  const std::lock_guard lock(mutex_);
  require(State::filling, "read a stream");
  if (partition >= partition_count()) throw std::out_of_range("no such partition");
  return store_.next(partition);
}

void Shuffle::finish() {
  const std::lock_guard lock(mutex_);
  require(State::filling, "finish");
  state_ = State::failed;
  strategy_->finish();
  store_.close_all();
  accesses_ = strategy_->accesses();
  claims_ = strategy_->claim_count();
  morsels_ = strategy_->morsel_count();
  turn_waits_ = strategy_->turn_waits();
  strategy_.reset();
  state_ = State::finished;
}

void Shuffle::require_readable(std::uint32_t partition) const {
  {
    const std::lock_guard lock(mutex_);
    require(State::finished, "read a partition");
  }
  if (partition >= partition_count()) throw std::out_of_range("no such partition");
}

std::optional<LeasedPage> Shuffle::next(std::uint32_t partition) {
  require_readable(partition);
  return store_.next(partition);
}

bool Shuffle::next_batch(std::uint32_t partition, std::uint64_t bytes_max, page::Types types,
                         ArrowArray* out) {
  require_readable(partition);
  const bool as_held = came_as_held_ || types == page::Types::held;
  std::vector<LeasedPage> leased;
  std::uint64_t bytes = 0;
  const std::uint64_t small = as_held ? kAloneBytes : bytes_max;
  std::uint64_t next_max = page::kPageBytesMax;
  while (auto found = store_.next(partition, next_max)) {
    bytes += page::payload_bytes(found->page, schema_);
    leased.push_back(std::move(*found));
    if (bytes >= bytes_max || (leased.size() == 1 && bytes >= small)) break;
    next_max = std::min(bytes_max - bytes, small);
  }
  if (leased.empty()) return false;
  store_.discard(leased);
  if (leased.size() == 1 && as_held) {
    page::export_batch(leased[0].page, schema_, std::move(leased[0].lease), out);
    return true;
  }
  std::vector<page::Page> pages;
  for (const LeasedPage& each : leased) pages.push_back(each.page);
  const page::JoinPlan plan(pages, schema_, types);
  auto lease = store_.lease(joined_bytes(plan.bytes()));
  auto* const memory = lease->bytes();
  plan.run(memory, std::move(lease), out);
  return true;
}

void Shuffle::free() {
  const std::lock_guard lock(mutex_);
  state_ = State::freed;
  strategy_.reset();
  store_.free();
}

std::vector<std::uint64_t> Shuffle::partition_rows() const {
  std::vector<std::uint64_t> rows;
  for (std::uint32_t p = 0; p < partition_count(); ++p) rows.push_back(store_.partition_rows(p));
  return rows;
}

std::vector<std::uint64_t> Shuffle::partition_bytes() const {
  std::vector<std::uint64_t> bytes;
  for (std::uint32_t p = 0; p < partition_count(); ++p) bytes.push_back(store_.partition_bytes(p));
  return bytes;
}

ShuffleStatistics Shuffle::statistics() const {
  const std::lock_guard lock(mutex_);
  ShuffleStatistics found;
  static_cast<PageCounts&>(found) = store_.counts();
  found.pool_peak_bytes = pool_->peak_bytes();
  found.claims = strategy_ ? strategy_->claim_count() : claims_;
  found.morsels = strategy_ ? strategy_->morsel_count() : morsels_;
  found.turn_waits = strategy_ ? strategy_->turn_waits() : turn_waits_;
  found.accesses = strategy_ ? strategy_->accesses() : accesses_;
  return found;
}

std::uint64_t Shuffle::overhead_bytes(const std::vector<arrow::ColumnType>& columns,
                                      std::uint32_t partition_count, const Combination& combination,
                                      std::uint32_t thread_count, std::uint64_t buffer_bytes) {
  const page::PageSchema schema(columns);
  ShuffleOptions options;
  options.buffer_bytes = buffer_bytes;
  const std::uint64_t buffers =
      Staging::bytes_max(schema, partition_count, shuffle::buffer_bytes(options, partition_count));
  const std::uint64_t sorted = SortedMorsel::bytes_max(partition_count);
  std::uint64_t each = sorted;
  if (combination.strategy == "software_managed_buffers" || combination.strategy == "thread_local_merge") {
    each = buffers;
  }
  // In order, threads may come to sort.
  if (combination.strategy == "software_managed_buffers" && thread_count > 1) {
    each += SortedMorsel::bytes_max(partition_count, kSkewedRowsMax);
  }
  if (combination.strategy == "collaborative_buffers") each = sorted + buffers / thread_count;
  if (combination.strategy == "radix") each = 4 * sorted;
  return thread_count * each +
         PageStore::overhead_bytes(partition_count, lists_of(combination, thread_count));
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
