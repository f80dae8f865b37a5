#include "esker/page/page_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <new>

namespace esker::page {
namespace {

// Pages from here on are their own mapping; larger ones than this are jumbo pages, seldom of one size twice.
constexpr std::uint64_t kRecycledBytesMax = 5 << 20;
// Below this budget a 2 MiB page touched for one small page would be felt.
constexpr std::uint64_t kHugePagesFromBytes = 256 << 20;

// The smallest arena of whole 2 MiB that pages of a size fill without a rest worth naming.
std::uint64_t arena_bytes(std::uint64_t page_bytes) {
  if (page_bytes <= kArenaUnitBytes) return kArenaUnitBytes;
  return page_bytes * 2 % kArenaUnitBytes == 0 ? page_bytes * 2 : page_bytes;
}

}  // namespace

PagePool::PagePool(std::uint64_t budget_bytes, PoolOptions options)
    : budget_bytes_(budget_bytes), options_(options) {}

PagePool::~PagePool() {
  stopping_.store(true);
  if (preparing_.joinable()) preparing_.join();
  assert(used_bytes_ == 0);
  for (const Arena& arena : arenas_) munmap(arena.begin, arena.bytes);
}

std::uint8_t* PagePool::allocate(std::uint64_t page_bytes) {
  return take(page_bytes, false);
}

std::uint8_t* PagePool::allocate_over_budget(std::uint64_t page_bytes) {
  return take(page_bytes, true);
}

void PagePool::give_back(std::uint8_t* page, std::uint64_t page_bytes) noexcept {
  const std::lock_guard lock(mutex_);
  used_bytes_ -= page_bytes;
  if (page_bytes > kRecycledBytesMax) {
    munmap(page, page_bytes);
    return;
  }
  Pages& pages = pages_[page_bytes];
  if (!options_.recycle || held_bytes() + page_bytes > budget_bytes_) {
    // It was taken over the budget, or is not to be used again as it is.
    madvise(page, page_bytes, MADV_DONTNEED);
    pages.cold.push_back(page);
  } else {
    warm_bytes_ += page_bytes;
    pages.warm.push_back(page);
  }
}

void PagePool::trim() {
  const std::lock_guard lock(mutex_);
  for (auto& [page_bytes, pages] : pages_) {
    while (!pages.warm.empty()) cool_one(page_bytes, pages);
  }
}

std::uint64_t PagePool::used_bytes() const {
  const std::lock_guard lock(mutex_);
  return used_bytes_;
}

std::uint64_t PagePool::free_bytes() const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t taken = used_bytes_ + preparing_bytes_;
  return budget_bytes_ > taken ? budget_bytes_ - taken : 0;
}

std::uint64_t PagePool::peak_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_bytes_;
}

std::uint8_t* PagePool::take(std::uint64_t page_bytes, bool over_budget) {
  assert(page_bytes > 0 && page_bytes % kPageUnitBytes == 0);
  const std::lock_guard lock(mutex_);
  if (page_bytes > kRecycledBytesMax) {
    const bool fits = page_bytes <= budget_bytes_ && cool_until(budget_bytes_ - page_bytes, 0);
    if (!fits && !over_budget) return nullptr;
    auto* page = map(page_bytes);
    used_bytes_ += page_bytes;
    peak_bytes_ = std::max(peak_bytes_, held_bytes());
    return page;
  }
  Pages& pages = pages_[page_bytes];
  if (!pages.warm.empty()) {
    auto* page = pages.warm.back();
    pages.warm.pop_back();
    warm_bytes_ -= page_bytes;
    used_bytes_ += page_bytes;
    return page;
  }
  const bool fits = page_bytes <= budget_bytes_ && cool_until(budget_bytes_ - page_bytes, page_bytes);
  if (!fits && !over_budget) return nullptr;
  if (pages.cold.empty()) carve(page_bytes, pages);
  auto* page = pages.cold.back();
  pages.cold.pop_back();
  used_bytes_ += page_bytes;
  peak_bytes_ = std::max(peak_bytes_, held_bytes());
  return page;
}

// Gives warm pages of other sizes back to the system until no more than `held_bytes_max` are held.
bool PagePool::cool_until(std::uint64_t held_bytes_max, std::uint64_t kept_page_bytes) {
  if (used_bytes_ + preparing_bytes_ > held_bytes_max) return false;
  for (auto& [page_bytes, pages] : pages_) {
    if (page_bytes == kept_page_bytes) continue;
    while (held_bytes() > held_bytes_max && !pages.warm.empty()) cool_one(page_bytes, pages);
  }
  return held_bytes() <= held_bytes_max;
}

void PagePool::cool_one(std::uint64_t page_bytes, Pages& pages) {
  auto* page = pages.warm.back();
  madvise(page, page_bytes, MADV_DONTNEED);
  pages.cold.push_back(page);
  pages.warm.pop_back();
  warm_bytes_ -= page_bytes;
}

void PagePool::prepare(std::uint64_t page_bytes, std::uint64_t count) {
  assert(page_bytes > 0 && page_bytes % kPageUnitBytes == 0 && page_bytes <= kRecycledBytesMax);
  const std::lock_guard lock(prepare_mutex_);
  if (preparing_.joinable()) preparing_.join();
  preparing_ = std::thread([this, page_bytes, count] {
    const std::uint64_t each = arena_bytes(page_bytes) / page_bytes;
    for (std::uint64_t done = 0; done < count && !stopping_.load(); done += each) {
      if (!prepare_arena(page_bytes)) return;
    }
  });
}

// False when the budget has no room for another arena, or the system cannot clear one ahead of its use.
bool PagePool::prepare_arena(std::uint64_t page_bytes) {
  const std::uint64_t size = arena_bytes(page_bytes);
  const std::uint64_t pages_bytes = size / page_bytes * page_bytes;
  std::uint8_t* arena = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (held_bytes() + pages_bytes > budget_bytes_) return false;
    arena = map(size);
    arenas_.push_back({arena, size});
    preparing_bytes_ += pages_bytes;
    peak_bytes_ = std::max(peak_bytes_, held_bytes());
  }
#ifdef MADV_POPULATE_WRITE
  const bool cleared = madvise(arena, pages_bytes, MADV_POPULATE_WRITE) == 0;
#else
  const bool cleared = false;
#endif
  const std::lock_guard lock(mutex_);
  preparing_bytes_ -= pages_bytes;
  Pages& pages = pages_[page_bytes];
  for (std::uint64_t end = pages_bytes; end > 0; end -= page_bytes) {
    (cleared ? pages.warm : pages.cold).push_back(arena + end - page_bytes);
  }
  if (cleared) warm_bytes_ += pages_bytes;
  return cleared;
}

void PagePool::carve(std::uint64_t page_bytes, Pages& pages) {
  const std::uint64_t size = arena_bytes(page_bytes);
  auto* arena = map(size);
  arenas_.push_back({arena, size});
  // From the back, so that the first one taken is the first one in memory.
  for (std::uint64_t end = size / page_bytes * page_bytes; end > 0; end -= page_bytes) {
    pages.cold.push_back(arena + end - page_bytes);
  }
}

// Maps memory that starts on a 2 MiB boundary: a map that is too large, trimmed at both ends.
std::uint8_t* PagePool::map(std::uint64_t bytes) {
  const std::uint64_t wide = bytes + kArenaUnitBytes;
  void* found =
      mmap(nullptr, wide, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::uint8_t*>(found);
  const std::uint64_t before =
      (kArenaUnitBytes - reinterpret_cast<std::uintptr_t>(begin) % kArenaUnitBytes) % kArenaUnitBytes;
  auto* const aligned = begin + before;
  if (before > 0) munmap(begin, before);
  if (wide - before - bytes > 0) munmap(aligned + bytes, wide - before - bytes);
  const bool huge = options_.huge_pages && budget_bytes_ >= kHugePagesFromBytes;
  madvise(aligned, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return aligned;
}

}  // namespace esker::page
