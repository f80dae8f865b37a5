// The pages of all partitions, whoever fills them: lists of pages, the pool they come from, the file they
// spill to.
//
// A partition has one list, or one for each thread where threads keep pages of their own; the lists of a
// partition are read one after the other.
//
// Threads: any. A list is changed under its lock. A thread that waits for room holds no lock and no claim
// that is not written, so whoever spills may wait until a page is.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "esker/page/page.h"
#include "esker/page/page_pool.h"
#include "esker/shuffle/claim.h"
#include "esker/shuffle/locks.h"
#include "esker/shuffle/spill_file.h"

namespace esker::shuffle {

// How large pages are: small ones first, larger ones as a list fills, so that the last, part-filled page of a
// list never weighs much against the full ones before it.
struct PageSizes {
  // Fits the sizes to the budget: the smallest so that every list may have a page in half of it, down to 4
  // KiB.
  PageSizes(const page::PageSchema& schema, std::uint64_t list_count, std::uint64_t pool_bytes,
            std::uint64_t page_bytes_max);

  // The size of the next page of a list that has `allocated_bytes`.
  std::uint64_t next(std::uint64_t allocated_bytes) const;

  std::uint64_t bytes_min;
  std::uint64_t bytes_max;
};

struct PageList {
  std::deque<StoredPage> pages;  // pointer-stable
  std::uint64_t row_count = 0;
  std::uint64_t heap_bytes = 0;
  std::uint64_t allocated_bytes = 0;
  bool open = false;  // rows may be added to the last page
  std::size_t next_read = 0;
};

// A page that left the shuffle: whoever holds it may read it.
struct LeasedPage {
  page::Page page;
  std::shared_ptr<page::PageLease> lease;
  std::uint64_t file_offset = 0;  // where it was spilled to, if it was
  std::uint64_t file_bytes = 0;
};

struct PageCounts {
  std::uint64_t rows = 0;
  std::uint64_t pages = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t allocated_bytes = 0;
  std::uint64_t spilled_bytes = 0;
  std::uint64_t spilled_pages = 0;
  std::uint64_t lock_waits = 0;
  std::map<std::uint64_t, std::uint64_t> pages_by_bytes;
};

class PageStore {
 public:
  PageStore(const page::PageSchema& schema, std::uint32_t partition_count, std::uint32_t lists_each,
            std::shared_ptr<page::PagePool> pool, std::uint64_t page_bytes_max, int spill_fd,
            std::uint64_t spill_limit_bytes, bool padded_locks);
  ~PageStore();
  PageStore(const PageStore&) = delete;
  PageStore& operator=(const PageStore&) = delete;

  const page::PageSchema& schema() const { return schema_; }
  std::uint32_t partition_count() const { return partition_count_; }
  std::uint64_t pool_bytes() const { return pool_->budget_bytes(); }
  std::size_t list_of(std::uint32_t partition, std::uint32_t list = 0) const {
    return std::size_t{partition} * lists_each_ + list;
  }
  std::uint32_t lists_each() const { return lists_each_; }
  Locks& locks() { return locks_; }

  // Under the list's lock: claims space for the rows of `run`, in order, adding to `claims`, and moves
  // `run.begin` past those that found some. False when the pool has no page left; then `bytes_wanted` says
  // how large a page.
  bool claim(std::size_t list, RowRun& run, std::vector<Claim>& claims, std::uint64_t& bytes_wanted);
  // Under the list's lock: a new, open page for the rows of `run`; null as `claim` is false.
  StoredPage* add_page(std::size_t list, const RowRun& run, std::uint64_t& bytes_wanted);
  // Under the list's lock: counts rows that a lock-free claim placed.
  PageList& list(std::size_t index) { return lists_[index]; }

  // Spills pages until one of `bytes_wanted` fits the pool, and waits for those that others are writing to;
  // throws PoolExhausted when nothing is left to spill. Another thread may take the room.
  void make_room(std::uint64_t bytes_wanted);
  // The same without waiting, for who has claims that are not written; false when that gives no room.
  bool make_room_at_once(std::uint64_t bytes_wanted);
  // A lock-free manager closes pages in its own way: true when the last page of the list takes no more rows.
  using CloseLast = bool (*)(void* manager, PageStore& store, std::size_t list);
  void close_with(CloseLast close, void* manager) {
    close_ = close;
    manager_ = manager;
  }
  // Makes threads that wait for others give up; they throw Abandoned.
  void abandon() { abandoned_.store(true, std::memory_order_relaxed); }
  bool abandoned() const { return abandoned_.load(std::memory_order_relaxed); }

  // Rows claimed from now on go to new pages.
  void close_all();
  // The partition's next page that takes no more rows, in order, each once; nothing when there is none, or
  // while the next one's payload is over `payload_bytes_max`.
  std::optional<LeasedPage> next(std::uint32_t partition,
                                 std::uint64_t payload_bytes_max = ~std::uint64_t{0});
  // Gives up the disk below pages that were read; neighbours in the file go together.
  void discard(const std::vector<LeasedPage>& pages) const;
  // Memory of `page_bytes` for a reader, over the budget if need be: nothing is spilled for it.
  std::shared_ptr<page::PageLease> lease(std::uint64_t page_bytes);
  void give_back() noexcept;
  void free();
  // The file's descriptor stays the caller's: for a shuffle that could not be made.
  void release_spill_fd() { spill_file_->release(); }

  std::uint64_t partition_rows(std::uint32_t partition) const;
  std::uint64_t partition_bytes(std::uint32_t partition) const;
  PageCounts counts() const;

  // Takes a page out of the store's books, for a merge that has emptied it.
  void drop_page(PageList& list, std::size_t index);

  static std::uint64_t overhead_bytes(std::uint32_t partition_count, std::uint32_t lists_each) {
    return std::uint64_t{partition_count} * lists_each * (sizeof(PageList) + 512 + 64);
  }

 private:
  bool spill(std::uint64_t bytes_wanted, bool may_wait);
  std::uint64_t spill_settled(std::uint64_t bytes_wanted);
  std::uint64_t spill_open(std::uint64_t bytes_wanted, bool may_wait);
  std::uint64_t spill_pages(std::size_t list, const std::vector<StoredPage*>& pages);
  bool close_last(std::size_t list);
  void wait_until_settled(const StoredPage& stored) const;
  std::uint8_t* memory_for(std::uint64_t page_bytes);

  const page::PageSchema& schema_;
  const std::uint32_t partition_count_;
  const std::uint32_t lists_each_;
  const std::shared_ptr<page::PagePool> pool_;
  const PageSizes sizes_;
  std::vector<PageList> lists_;
  mutable Locks locks_;
  mutable std::mutex room_mutex_;  // one spills at a time
  // Gone once freed; who reads a page at that moment holds it.
  std::shared_ptr<SpillFile> spill_file_;
  std::uint64_t spilled_bytes_ = 0;
  std::uint64_t spilled_pages_ = 0;
  std::atomic<bool> abandoned_{false};
  CloseLast close_ = nullptr;
  void* manager_ = nullptr;
};

}  // namespace esker::shuffle
