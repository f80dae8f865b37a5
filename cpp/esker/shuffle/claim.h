// Rows that look for a place, and the place they were given.
#pragma once

#include <atomic>
#include <cstdint>

#include "esker/page/page.h"

namespace esker::shuffle {

// A page of a list, and how much of it was claimed and written. Pointer-stable while the shuffle lives.
//
// Threads: `page` is changed under the list's lock, or by whoever owns the list; `claimed` is the lock-free
// managers' alone, who copy it into `page` when the page is closed. Rows are in place when `written` has
// reached the row count.
struct StoredPage {
  page::Page page;
  std::uint64_t file_offset = 0;
  std::atomic<std::uint64_t> claimed{0};
  std::atomic<std::uint32_t> written{0};

  bool settled() const { return written.load(std::memory_order_acquire) == page.row_count; }
};

// Rows `begin` to `end` of somewhere, all of one partition, in order. `heap_ends[i]` are the bytes that long
// values of rows 0 to i take together; null where no column has any.
struct RowRun {
  std::uint32_t partition;
  std::uint32_t begin;
  std::uint32_t end;
  const std::uint64_t* heap_ends = nullptr;

  std::uint64_t heap_before(std::uint32_t row) const {
    return heap_ends != nullptr && row > 0 ? heap_ends[row - 1] : 0;
  }
  std::uint64_t heap_bytes(std::uint32_t first, std::uint32_t last) const {
    return heap_before(last) - heap_before(first);
  }
  // The end of the rows from `begin` on whose long values fit `heap_free`.
  std::uint32_t fitting(std::uint32_t stop, std::uint64_t heap_free) const;
};

// Space on a page that one thread has claimed for rows `first` to `first + row_count` of a run.
struct Claim {
  StoredPage* stored;
  std::uint32_t partition;
  std::uint8_t* bytes;
  const page::PageLayout* layout;
  std::uint32_t row_begin;
  std::uint32_t row_count;
  std::uint32_t first;
  std::uint64_t heap_next;
  std::uint64_t heap_bytes;
};

}  // namespace esker::shuffle
