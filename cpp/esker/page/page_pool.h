// Pages of memory within a byte budget, used again and again: first touch of fresh memory costs more than the
// copy.
//
// Small pages are cut from arenas of whole 2 MiB, so that the system can back them by large pages and none
// costs a map of its own. A free page is warm while its memory is ours; when another size needs the room, it
// is given back to the system and the page is cold. Warm and handed-out pages together stay within the
// budget.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace esker::page {

constexpr std::uint64_t kArenaUnitBytes = 2 << 20;
constexpr std::uint64_t kPageUnitBytes = 4096;

struct PoolOptions {
  bool huge_pages = true;  // of 2 MiB, where the budget is large enough for them not to be felt
  bool recycle = true;     // pages that come back stay ours; else each is fresh memory
};

class PagePool {
 public:
  explicit PagePool(std::uint64_t budget_bytes, PoolOptions options = {});
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // A page of `page_bytes` (a multiple of 4096), or null when the budget has no room. Contents are undefined.
  std::uint8_t* allocate(std::uint64_t page_bytes);
  // The same, over the budget if need be: for a reader whose consumer keeps every page it was given.
  std::uint8_t* allocate_over_budget(std::uint64_t page_bytes);
  void give_back(std::uint8_t* page, std::uint64_t page_bytes) noexcept;

  // Gives the memory of all free pages back to the system.
  void trim();
  // Makes `count` pages of a size warm in the background, within the budget, so that whoever fills them does
  // not wait for the system to clear them. A second call goes on after the first.
  void prepare(std::uint64_t page_bytes, std::uint64_t count);

  std::uint64_t budget_bytes() const { return budget_bytes_; }
  std::uint64_t used_bytes() const;
  std::uint64_t free_bytes() const;
  // The most that was warm or handed out at one time.
  std::uint64_t peak_bytes() const;

 private:
  struct Pages {
    std::vector<std::uint8_t*> warm;
    std::vector<std::uint8_t*> cold;
  };
  struct Arena {
    std::uint8_t* begin;
    std::uint64_t bytes;
  };

  std::uint64_t held_bytes() const { return used_bytes_ + warm_bytes_ + preparing_bytes_; }
  std::uint8_t* take(std::uint64_t page_bytes, bool over_budget);
  bool prepare_arena(std::uint64_t page_bytes);
  bool cool_until(std::uint64_t held_bytes_max, std::uint64_t kept_page_bytes);
  void cool_one(std::uint64_t page_bytes, Pages& pages);
  void carve(std::uint64_t page_bytes, Pages& pages);
  std::uint8_t* map(std::uint64_t bytes);

  const std::uint64_t budget_bytes_;
  const PoolOptions options_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Pages> pages_;  // by size
  std::vector<Arena> arenas_;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t warm_bytes_ = 0;
  std::uint64_t peak_bytes_ = 0;
  std::uint64_t preparing_bytes_ = 0;  // being cleared: neither free nor in use, but held
  std::mutex prepare_mutex_;           // who starts and ends the thread
  std::atomic<bool> stopping_{false};
  std::thread preparing_;
};

// A page that goes back to its pool when the last reader lets go.
class PageLease {
 public:
  PageLease(std::shared_ptr<PagePool> pool, std::uint8_t* bytes, std::uint64_t page_bytes)
      : pool_(std::move(pool)), bytes_(bytes), page_bytes_(page_bytes) {}
  ~PageLease() { pool_->give_back(bytes_, page_bytes_); }
  PageLease(const PageLease&) = delete;
  PageLease& operator=(const PageLease&) = delete;

  std::uint8_t* bytes() const { return bytes_; }

 private:
  std::shared_ptr<PagePool> pool_;
  std::uint8_t* bytes_;
  std::uint64_t page_bytes_;
};

}  // namespace esker::page
