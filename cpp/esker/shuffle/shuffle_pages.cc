// What a shuffle does with pages once they are written: spill them, hand them on, count them.
#include <algorithm>
#include <stdexcept>

#include "esker/error.h"
#include "esker/shuffle/shuffle.h"

namespace esker::shuffle {
namespace {

// When room is needed, this part of the pool is freed at once.
constexpr std::uint64_t kSpillPart = 8;

}  // namespace

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

}  // namespace esker::shuffle
