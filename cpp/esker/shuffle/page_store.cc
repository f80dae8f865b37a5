#include "esker/shuffle/page_store.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "esker/error.h"
#include "esker/page/page_join.h"

namespace esker::shuffle {
namespace {

using page::PageLayout;
using page::PageSchema;

constexpr std::array<std::uint64_t, 8> kLadder = {4096,     8192,      16384,   32768,
                                                  64 << 10, 256 << 10, 1 << 20, 5 << 20};
constexpr std::size_t kOrdinary = 4;  // pages below 64 KiB only where the budget is small
constexpr std::uint64_t kJumboUnitBytes = 64 << 10;
// A page may be an eighth of what its list has: so much may be empty at the end, half of it on average.
constexpr std::uint64_t kGrowth = 8;
// A page for fewer rows than this spends itself on the padding of its regions.
constexpr std::uint64_t kRowsMin = 64;
// When room is needed, this part of the pool is freed at once.
constexpr std::uint64_t kSpillPart = 8;

// The largest step of the ladder that is at most `bytes`, at least the smallest step.
std::uint64_t step_below(std::uint64_t bytes) {
  std::uint64_t found = kLadder[0];
  for (const std::uint64_t step : kLadder) found = step <= bytes ? step : found;
  return found;
}

std::uint64_t step_above(std::uint64_t bytes) {
  for (const std::uint64_t step : kLadder) {
    if (step >= bytes) return step;
  }
  return page::round_up(bytes, kJumboUnitBytes);
}

}  // namespace

std::uint32_t RowRun::fitting(std::uint32_t stop, std::uint64_t heap_free) const {
  if (heap_ends == nullptr) return stop;
  const std::uint64_t limit = heap_before(begin) + heap_free;
  return static_cast<std::uint32_t>(std::upper_bound(heap_ends + begin, heap_ends + stop, limit) - heap_ends);
}

PageSizes::PageSizes(const PageSchema& schema, std::uint64_t list_count, std::uint64_t pool_bytes,
                     std::uint64_t page_bytes_max) {
  const std::uint64_t share = pool_bytes / 2 / list_count;
  const std::uint64_t rows_need = step_above(schema.regions_end(kRowsMin));
  bytes_min = std::max(step_below(std::min(share, kLadder[kOrdinary])), rows_need);
  bytes_max = std::max(step_below(std::min(share, page_bytes_max)), bytes_min);
}

std::uint64_t PageSizes::next(std::uint64_t allocated_bytes) const {
  return std::clamp(step_below(allocated_bytes / kGrowth), bytes_min, bytes_max);
}

PageStore::PageStore(const PageSchema& schema, std::uint32_t partition_count, std::uint32_t lists_each,
                     std::shared_ptr<page::PagePool> pool, std::uint64_t page_bytes_max, int spill_fd,
                     std::uint64_t spill_limit_bytes, bool padded_locks)
    : schema_(schema),
      partition_count_(partition_count),
      lists_each_(lists_each),
      pool_(std::move(pool)),
      sizes_(schema, std::uint64_t{partition_count} * lists_each, pool_->budget_bytes(), page_bytes_max),
      lists_(std::size_t{partition_count} * lists_each),
      locks_(std::size_t{partition_count} * lists_each, padded_locks),
      spill_file_(std::make_shared<SpillFile>(spill_fd, spill_limit_bytes)) {}

PageStore::~PageStore() {
  give_back();
}

bool PageStore::claim(std::size_t index, RowRun& run, std::vector<Claim>& claims,
                      std::uint64_t& bytes_wanted) {
  PageList& list = lists_[index];
  while (run.begin < run.end) {
    if (list.open) {
      StoredPage& stored = list.pages.back();
      page::Page& page = stored.page;
      const std::uint32_t stop =
          run.fitting(run.begin + std::min(run.end - run.begin, page.rows_free()), page.heap_free());
      if (stop > run.begin) {
        const std::uint64_t heap = run.heap_bytes(run.begin, stop);
        const std::uint32_t rows = stop - run.begin;
        page.heap_begin -= heap;
        claims.push_back({&stored, run.partition, page.bytes, page.layout.get(), page.row_count, rows,
                          run.begin, page.heap_begin, heap});
        page.row_count += rows;
        list.row_count += rows;
        list.heap_bytes += heap;
        run.begin = stop;
        continue;
      }
      list.open = false;
    }
    if (add_page(index, run, bytes_wanted) == nullptr) return false;
    list.open = true;
  }
  return true;
}

StoredPage* PageStore::add_page(std::size_t index, const RowRun& run, std::uint64_t& bytes_wanted) {
  PageList& list = lists_[index];
  const std::uint64_t first_row_heap = run.heap_bytes(run.begin, run.begin + 1);
  const std::uint64_t need = schema_.regions_end(1) + first_row_heap;
  std::uint64_t bytes = sizes_.next(list.allocated_bytes);
  while (bytes < need && bytes < sizes_.bytes_max) bytes = std::min(step_above(bytes + 1), sizes_.bytes_max);
  if (bytes < need) bytes = page::round_up(need, kJumboUnitBytes);
  if (bytes > page::kPageBytesMax) throw UnsupportedType("a row of 2 GiB or more does not fit a page");

  // So many rows that regions and heap fill up together, if the rows to come are like those that came.
  const double heap_per_row = static_cast<double>(list.heap_bytes + run.heap_bytes(run.begin, run.end)) /
                              static_cast<double>(list.row_count + (run.end - run.begin));
  const double row_bytes = static_cast<double>(schema_.row_bits()) / 8;
  const double part = row_bytes / (row_bytes + heap_per_row);
  const double room = static_cast<double>(bytes - page::kHeaderBytes);
  const std::uint64_t regions = page::kHeaderBytes + static_cast<std::uint64_t>(room * part);
  std::uint64_t capacity =
      std::max<std::uint64_t>(1, schema_.rows_below(std::min(regions, bytes - first_row_heap)));
  // Whole words of bitmaps, and whole lines of columns.
  if (capacity > kRowsMin) capacity = capacity / kRowsMin * kRowsMin;

  auto* const memory = pool_->allocate(bytes);
  if (memory == nullptr) {
    bytes_wanted = bytes;
    return nullptr;
  }
  StoredPage& stored = list.pages.emplace_back();
  stored.page.bytes = memory;
  stored.page.layout =
      std::make_shared<const PageLayout>(schema_, bytes, static_cast<std::uint32_t>(capacity));
  stored.page.heap_begin = bytes;
  page::start(stored.page, schema_);
  list.allocated_bytes += bytes;
  return &stored;
}

void PageStore::make_room(std::uint64_t bytes_wanted) {
  const std::lock_guard lock(room_mutex_);
  if (!spill(bytes_wanted, true)) throw PoolExhausted(bytes_wanted, pool_->budget_bytes());
}

bool PageStore::make_room_at_once(std::uint64_t bytes_wanted) {
  const std::lock_guard lock(room_mutex_);
  return spill(bytes_wanted, false);
}

// Writes pages to the file until one of `bytes_wanted` fits the pool, or did until another thread took the
// room; false when there is nothing to write.
bool PageStore::spill(std::uint64_t bytes_wanted, bool may_wait) {
  const auto fits = [&] { return pool_->free_bytes() >= bytes_wanted; };
  if (fits()) return true;
  if (spill_file_ == nullptr || !spill_file_->usable()) return false;
  const std::uint64_t goal = std::max(bytes_wanted, pool_->budget_bytes() / kSpillPart);
  std::uint64_t freed = spill_settled(goal);
  if (!fits()) freed += spill_open(goal, may_wait);
  return fits() || freed > 0;
}

// Full pages first. Partitions are read from the first on, so the last ones can best be spared.
std::uint64_t PageStore::spill_settled(std::uint64_t bytes_wanted) {
  std::uint64_t freed = 0;
  for (std::size_t index = lists_.size(); index-- > 0 && freed < bytes_wanted;) {
    const LockGuard lock(locks_, index);
    PageList& list = lists_[index];
    std::vector<StoredPage*> chosen;
    std::uint64_t bytes = 0;
    for (std::size_t i = list.next_read; i < list.pages.size() && freed + bytes < bytes_wanted; ++i) {
      StoredPage& stored = list.pages[i];
      const bool is_open = i + 1 == list.pages.size() && list.open;
      if (stored.page.bytes == nullptr || is_open || !stored.settled()) continue;
      chosen.push_back(&stored);
      bytes += stored.page.layout->page_bytes;
    }
    if (!chosen.empty()) freed += spill_pages(index, chosen);
  }
  return freed;
}

// Then the pages that are still being filled, the fullest first.
std::uint64_t PageStore::spill_open(std::uint64_t bytes_wanted, bool may_wait) {
  std::vector<std::pair<std::uint64_t, std::size_t>> by_fill;
  for (std::size_t index = 0; index < lists_.size(); ++index) {
    const LockGuard lock(locks_, index);
    const PageList& list = lists_[index];
    if (list.pages.size() == list.next_read || list.pages.back().page.bytes == nullptr) continue;
    const page::Page& page = list.pages.back().page;
    by_fill.emplace_back(schema_.payload_bytes(page.row_count, page.layout->page_bytes - page.heap_begin),
                         index);
  }
  std::sort(by_fill.begin(), by_fill.end(), std::greater<>());
  std::uint64_t freed = 0;
  for (const auto& [fill, index] : by_fill) {
    if (freed >= bytes_wanted) break;
    StoredPage* last = nullptr;
    {
      const LockGuard lock(locks_, index);
      if (!may_wait && !lists_[index].pages.back().settled()) continue;
      if (!close_last(index)) continue;
      last = &lists_[index].pages.back();
    }
    wait_until_settled(*last);
    const LockGuard lock(locks_, index);
    if (last->page.bytes != nullptr) freed += spill_pages(index, {last});
  }
  return freed;
}

bool PageStore::close_last(std::size_t index) {
  if (close_ != nullptr) return close_(manager_, *this, index);
  lists_[index].open = false;
  return true;
}

void PageStore::wait_until_settled(const StoredPage& stored) const {
  Backoff backoff;
  while (!stored.settled()) {
    if (abandoned()) throw Abandoned();
    backoff.wait();
  }
}

// Under the list's lock: pages of one list go behind one another, so that they are read so.
std::uint64_t PageStore::spill_pages(std::size_t list, const std::vector<StoredPage*>& pages) {
  std::vector<SealedPage> sealed;
  for (const StoredPage* stored : pages) {
    const page::Page& page = stored->page;
    page::seal(page, schema_, static_cast<std::uint32_t>(list / lists_each_), true);
    sealed.push_back({page.bytes, page::used_ranges(*page.layout, schema_, page.row_count, page.heap_begin)});
  }
  const std::vector<std::uint64_t> offsets = spill_file_->append(sealed);
  std::uint64_t freed = 0;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    page::Page& page = pages[i]->page;
    pages[i]->file_offset = offsets[i];
    pool_->give_back(page.bytes, page.layout->page_bytes);
    page.bytes = nullptr;
    freed += page.layout->page_bytes;
  }
  spilled_bytes_ = spill_file_->bytes();
  spilled_pages_ += pages.size();
  return freed;
}

void PageStore::close_all() {
  for (std::size_t index = 0; index < lists_.size(); ++index) {
    const LockGuard lock(locks_, index);
    close_last(index);
  }
}

std::optional<LeasedPage> PageStore::next(std::uint32_t partition, std::uint64_t payload_bytes_max) {
  // Reading takes pages from lists and makes room by spilling others: one at a time, but for the reading of
  // the file.
  std::unique_lock lock(room_mutex_);
  PageList* from = nullptr;
  for (std::uint32_t i = 0; i < lists_each_ && from == nullptr; ++i) {
    PageList& list = lists_[list_of(partition, i)];
    const std::size_t closed = list.pages.size() - (list.open ? 1 : 0);
    // A merge leaves pages without rows.
    while (list.next_read < closed && list.pages[list.next_read].page.row_count == 0) ++list.next_read;
    if (list.next_read < closed && list.pages[list.next_read].settled()) from = &list;
  }
  if (from == nullptr) return std::nullopt;
  StoredPage& stored = from->pages[from->next_read];
  if (page::payload_bytes(stored.page, schema_) > payload_bytes_max) return std::nullopt;
  ++from->next_read;
  const page::Page kept = stored.page;
  stored.page.bytes = nullptr;
  const std::uint64_t page_bytes = kept.layout->page_bytes;
  if (kept.bytes != nullptr) {
    page::seal(kept, schema_, partition, false);
    return LeasedPage{kept, std::make_shared<page::PageLease>(pool_, kept.bytes, page_bytes), 0, 0};
  }
  auto lease = std::make_shared<page::PageLease>(pool_, memory_for(page_bytes), page_bytes);
  const std::shared_ptr<const SpillFile> file = spill_file_;
  const std::uint64_t offset = stored.file_offset;
  lock.unlock();
  const auto ranges = page::used_ranges(*kept.layout, schema_, kept.row_count, kept.heap_begin);
  file->read(offset, lease->bytes(), ranges);
  const std::string place = "spilled page at byte " + std::to_string(offset);
  const page::Page page = page::open({lease->bytes(), page_bytes}, schema_, place);
  if (page.row_count != kept.row_count || page.heap_begin != kept.heap_begin) {
    throw PageCorrupt(place + ": another page than the one that was written there");
  }
  return LeasedPage{page, std::move(lease), offset, SpillFile::bytes_of(ranges)};
}

void PageStore::discard(const std::vector<LeasedPage>& pages) const {
  std::vector<page::Range> spent;
  for (const LeasedPage& page : pages) {
    if (page.file_bytes == 0) continue;
    if (spent.empty() || spent.back().end != page.file_offset) {
      spent.push_back({page.file_offset, page.file_offset});
    }
    spent.back().end += page.file_bytes;
  }
  if (spent.empty()) return;
  std::shared_ptr<const SpillFile> file;
  {
    const std::lock_guard lock(room_mutex_);
    file = spill_file_;
  }
  if (file == nullptr) return;
  for (const page::Range& range : spent) file->discard(range.begin, range.end - range.begin);
}

// A consumer that keeps what it reads may hold the whole pool: then its next page comes on top.
std::uint8_t* PageStore::memory_for(std::uint64_t page_bytes) {
  auto* memory = pool_->allocate(page_bytes);
  if (memory == nullptr && spill(page_bytes, true)) memory = pool_->allocate(page_bytes);
  return memory != nullptr ? memory : pool_->allocate_over_budget(page_bytes);
}

std::shared_ptr<page::PageLease> PageStore::lease(std::uint64_t page_bytes) {
  auto* memory = pool_->allocate(page_bytes);
  if (memory == nullptr) memory = pool_->allocate_over_budget(page_bytes);
  return std::make_shared<page::PageLease>(pool_, memory, page_bytes);
}

void PageStore::free() {
  const std::lock_guard lock(room_mutex_);
  give_back();
  spill_file_.reset();
}

void PageStore::give_back() noexcept {
  for (PageList& list : lists_) {
    for (StoredPage& stored : list.pages) {
      if (stored.page.bytes != nullptr) pool_->give_back(stored.page.bytes, stored.page.layout->page_bytes);
      stored.page.bytes = nullptr;
    }
  }
}

void PageStore::drop_page(PageList& list, std::size_t index) {
  StoredPage& stored = list.pages[index];
  list.allocated_bytes -= stored.page.layout->page_bytes;
  pool_->give_back(stored.page.bytes, stored.page.layout->page_bytes);
  stored.page.bytes = nullptr;
}

std::uint64_t PageStore::partition_rows(std::uint32_t partition) const {
  std::uint64_t rows = 0;
  for (std::uint32_t i = 0; i < lists_each_; ++i) rows += lists_[list_of(partition, i)].row_count;
  return rows;
}

std::uint64_t PageStore::partition_bytes(std::uint32_t partition) const {
  std::uint64_t heap_bytes = 0;
  for (std::uint32_t i = 0; i < lists_each_; ++i) heap_bytes += lists_[list_of(partition, i)].heap_bytes;
  return schema_.payload_bytes(partition_rows(partition), heap_bytes);
}

PageCounts PageStore::counts() const {
  PageCounts found;
  for (std::size_t index = 0; index < lists_.size(); ++index) {
    const LockGuard lock(locks_, index);
    const PageList& list = lists_[index];
    found.rows += list.row_count;
    found.payload_bytes += schema_.payload_bytes(list.row_count, list.heap_bytes);
    found.allocated_bytes += list.allocated_bytes;
    for (const StoredPage& stored : list.pages) {
      if (stored.page.row_count == 0) continue;
      ++found.pages;
      ++found.pages_by_bytes[stored.page.layout->page_bytes];
    }
  }
  found.spilled_bytes = spilled_bytes_;
  found.spilled_pages = spilled_pages_;
  found.lock_waits = locks_.wait_count();
  return found;
}

}  // namespace esker::shuffle
