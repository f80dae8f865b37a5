// Lock-free (source 002, 3.3.2, algorithms 3 and 4): rows are claimed by compare-and-exchange on the page's
// count; who claims the last slot adds the next page, and whoever comes in between waits for it.
//
// The count has two parts, rows and bytes of long values, in one word, so that both are claimed at once:
//
//   | closed (1) | heap bytes (31) | rows (32) |
//
// A run that does not fit closes the page, as if it had claimed the last slot. Only who closes a page, by the
// exchange that sets the bit, touches the list, so the list's lock is taken once a page, not once a claim.
#pragma once

#include <atomic>
#include <memory>

#include "esker/shuffle/page_managers/page_manager.h"

namespace esker::shuffle {

class LockFreePages {
 public:
  explicit LockFreePages(Context context)
      : context_(context),
        stride_(context.options.optimisations.padded_locks ? kLineBytes / sizeof(Current) : 1),
        current_(std::make_unique<Current[]>(context.partition_count() * stride_)) {
    for (std::uint32_t p = 0; p < context.partition_count(); ++p) current(p).store(vacant());
    context.store.close_with(&LockFreePages::close_last, this);
  }
  ~LockFreePages() { context_.store.close_with(nullptr, nullptr); }
  LockFreePages(const LockFreePages&) = delete;
  LockFreePages& operator=(const LockFreePages&) = delete;

  template <class Copy>
  void insert(Worker& worker, RowRun run, Writing<Copy>& writing) {
    Backoff backoff;
    while (run.begin < run.end) {
      StoredPage* page = current(run.partition).load(std::memory_order_acquire);
      if (page == vacant()) {
        if (current(run.partition).compare_exchange_strong(page, nullptr)) add_page(run, writing);
      } else if (page == nullptr || !claim(worker, *page, run, writing)) {
        context_.check();
        backoff.wait();
      }
    }
  }

 private:
  using Current = std::atomic<StoredPage*>;
  static constexpr std::size_t kLineBytes = 64;
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63;

  static std::uint64_t rows_of(std::uint64_t word) { return word & 0xFFFF'FFFF; }
  static std::uint64_t heap_of(std::uint64_t word) { return (word & ~kClosed) >> 32; }
  // Stands for: no page, and nobody adds one.
  static StoredPage* vacant() {
    static StoredPage none;
    return &none;
  }

  Current& current(std::uint32_t partition) { return current_[partition * stride_]; }

  // Claims what fits the page; false when it is closed already, and its successor is on the way.
  template <class Copy>
  bool claim(Worker& worker, StoredPage& stored, RowRun& run, Writing<Copy>& writing) {
    const page::PageLayout& layout = *stored.page.layout;
    std::uint64_t word = stored.claimed.load(std::memory_order_relaxed);
    std::uint32_t stop = 0;
    std::uint64_t heap = 0;
    std::uint64_t next = 0;
    do {
      if ((word & kClosed) != 0) return false;
      const auto rows_free = static_cast<std::uint32_t>(layout.row_capacity - rows_of(word));
      const std::uint64_t heap_free = layout.page_bytes - layout.regions_end - heap_of(word);
      stop = run.fitting(run.begin + std::min(run.end - run.begin, rows_free), heap_free);
      heap = run.heap_bytes(run.begin, stop);
      next = word + (heap << 32) + (stop - run.begin);
      if (stop < run.end || rows_of(next) == layout.row_capacity) next |= kClosed;
    } while (!stored.claimed.compare_exchange_weak(word, next, std::memory_order_relaxed));
    if (stop > run.begin) {
      worker.claims.push_back({&stored, run.partition, stored.page.bytes, &layout,
                               static_cast<std::uint32_t>(rows_of(word)), stop - run.begin, run.begin,
                               layout.page_bytes - heap_of(next), heap});
    }
    run.begin = stop;
    if ((next & kClosed) != 0) settle_and_go_on(run, stored);
    writing.claimed();
    return true;
  }

  // The page is ours to close. Others wait for the next one, so it is added before our own rows are written;
  // when there is no room for it, whoever comes next sees to it.
  void settle_and_go_on(const RowRun& run, StoredPage& stored) {
    const std::size_t list = context_.store.list_of(run.partition);
    const LockGuard lock(context_.store.locks(), list);
    settle(list, stored);
    std::uint64_t bytes_wanted = 0;
    StoredPage* const page = run.begin < run.end ? new_page(list, run, bytes_wanted) : nullptr;
    current(run.partition).store(page != nullptr ? page : vacant(), std::memory_order_release);
  }

  // The list has no page, and it is ours to add one.
  template <class Copy>
  void add_page(const RowRun& run, Writing<Copy>& writing) {
    const std::size_t list = context_.store.list_of(run.partition);
    std::uint64_t bytes_wanted = 0;
    {
      const LockGuard lock(context_.store.locks(), list);
      StoredPage* const page = new_page(list, run, bytes_wanted);
      current(run.partition).store(page != nullptr ? page : vacant(), std::memory_order_release);
      if (page != nullptr) return;
    }
    writing.wait_for_room(bytes_wanted);
  }

  StoredPage* new_page(std::size_t list, const RowRun& run, std::uint64_t& bytes_wanted) {
    StoredPage* const page = context_.store.add_page(list, run, bytes_wanted);
    if (page != nullptr) context_.store.list(list).open = true;
    return page;
  }

  // Under the list's lock: the claims on a closed page become the page's own.
  void settle(std::size_t index, StoredPage& stored) {
    const std::uint64_t word = stored.claimed.load(std::memory_order_relaxed);
    PageList& list = context_.store.list(index);
    stored.page.row_count = static_cast<std::uint32_t>(rows_of(word));
    stored.page.heap_begin = stored.page.layout->page_bytes - heap_of(word);
    list.row_count += rows_of(word);
    list.heap_bytes += heap_of(word);
    list.open = false;
  }

  // For the store, under the list's lock, when it needs room: closes the open page in the way above.
  static bool close_last(void* manager, PageStore& store, std::size_t index) {
    auto& self = *static_cast<LockFreePages*>(manager);
    PageList& list = store.list(index);
    if (list.pages.empty() || !list.open) return !list.pages.empty();
    StoredPage& last = list.pages.back();
    if ((last.claimed.fetch_or(kClosed, std::memory_order_relaxed) & kClosed) != 0) return false;
    self.settle(index, last);
    self.current(static_cast<std::uint32_t>(index)).store(vacant(), std::memory_order_release);
    return true;
  }

  Context context_;
  std::size_t stride_;
  std::unique_ptr<Current[]> current_;
};

static_assert(InsertsRows<LockFreePages> && !AssignsHistograms<LockFreePages>);

}  // namespace esker::shuffle
