// The pages of one partition, in order, and where the next row goes.
//
// Threads: whoever is inside the turnstile; later, whoever holds the shuffle's reading lock.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/page/page.h"
#include "esker/page/page_pool.h"
#include "esker/shuffle/morsel.h"
#include "esker/shuffle/page_writer.h"

namespace esker::shuffle {

// How large pages are: small ones first, larger ones as a partition fills, so that the last, part-filled page
// of a partition never weighs much against the full ones before it.
struct PageSizes {
  // Fits the sizes to the budget: the smallest so that every partition may have a page in half of it, down to
  // 4 KiB.
  PageSizes(const page::PageSchema& schema, std::uint32_t partition_count, std::uint64_t pool_bytes,
            std::uint64_t page_bytes_max);

  // The size of the next page of a partition that has `allocated_bytes`.
  std::uint64_t next(std::uint64_t allocated_bytes) const;

  std::uint64_t bytes_min;
  std::uint64_t bytes_max;
};

struct StoredPage {
  page::Page page;
  std::uint64_t file_offset = 0;
};

class Partition {
 public:
  // Claims space for rows begin to end of the morsel's buffers, in order, adding to `claims`; returns how
  // many rows found space: fewer than asked only when the pool has no page left. Then `bytes_wanted` says how
  // large a page.
  std::uint32_t claim(const MorselBuffers& buffers, std::uint32_t begin, std::uint32_t end,
                      std::uint64_t heap_bytes, const page::PageSchema& schema, const PageSizes& sizes,
                      page::PagePool& pool, std::vector<Claim>& claims, std::uint64_t& bytes_wanted);

  std::uint64_t row_count() const { return row_count_; }
  std::uint64_t heap_bytes() const { return heap_bytes_; }
  std::uint64_t allocated_bytes() const { return allocated_bytes_; }
  std::vector<StoredPage>& pages() { return pages_; }
  const std::vector<StoredPage>& pages() const { return pages_; }

  // True while rows may still be added to the page.
  bool is_open(std::size_t index) const { return open_ && index + 1 == pages_.size(); }
  // Rows claimed from now on go to a new page.
  void close() { open_ = false; }

  std::size_t next_read = 0;

 private:
  std::uint32_t fit(const MorselBuffers& buffers, std::uint32_t begin, std::uint32_t end,
                    std::uint64_t heap_left, std::uint64_t& heap_taken) const;
  bool add_page(std::uint64_t first_row_heap, double heap_per_row, const page::PageSchema& schema,
                const PageSizes& sizes, page::PagePool& pool, std::uint64_t& bytes_wanted);

  std::vector<StoredPage> pages_;
  std::uint64_t row_count_ = 0;
  std::uint64_t heap_bytes_ = 0;
  std::uint64_t allocated_bytes_ = 0;
  bool open_ = false;
};

}  // namespace esker::shuffle
