#include "esker/shuffle/partition.h"

#include <algorithm>
#include <array>

#include "esker/error.h"

namespace esker::shuffle {
namespace {

using page::Page;
using page::PageLayout;
using page::PageSchema;

constexpr std::array<std::uint64_t, 8> kLadder = {4096,     8192,      16384,   32768,
                                                  64 << 10, 256 << 10, 1 << 20, 5 << 20};
constexpr std::size_t kOrdinary = 4;  // pages below 64 KiB only where the budget is small
constexpr std::uint64_t kJumboUnitBytes = 64 << 10;
// A page may be a quarter of what its partition has.
constexpr std::uint64_t kGrowth = 4;
// A page for fewer rows than this spends itself on the padding of its regions.
constexpr std::uint64_t kRowsMin = 64;

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

PageSizes::PageSizes(const PageSchema& schema, std::uint32_t partition_count, std::uint64_t pool_bytes,
                     std::uint64_t page_bytes_max) {
  const std::uint64_t share = pool_bytes / 2 / partition_count;
  const std::uint64_t rows_need = step_above(schema.regions_end(kRowsMin));
  bytes_min = std::max(step_below(std::min(share, kLadder[kOrdinary])), rows_need);
  bytes_max = std::max(step_below(std::min(share, page_bytes_max)), bytes_min);
}

std::uint64_t PageSizes::next(std::uint64_t allocated_bytes) const {
  return std::clamp(step_below(allocated_bytes / kGrowth), bytes_min, bytes_max);
}

std::uint32_t Partition::claim(const MorselBuffers& buffers, std::uint32_t begin, std::uint32_t end,
                               std::uint64_t heap_bytes, const PageSchema& schema, const PageSizes& sizes,
                               page::PagePool& pool, std::vector<Claim>& claims,
                               std::uint64_t& bytes_wanted) {
  const std::uint32_t first = begin;
  while (begin < end) {
    if (open_) {
      Page& page = pages_.back().page;
      const std::uint32_t room = begin + std::min(end - begin, page.rows_free());
      std::uint64_t heap = 0;
      std::uint32_t stop = room;
      if (schema.has_views()) {
        // Without a walk when all that is left fits.
        if (room == end && heap_bytes <= page.heap_free()) {
          heap = heap_bytes;
        } else {
          stop = fit(buffers, begin, room, page.heap_free(), heap);
        }
      }
      if (stop > begin) {
        page.heap_begin -= heap;
        claims.push_back({page.bytes, page.layout.get(), page.row_count, stop - begin, buffers.rows() + begin,
                          page.heap_begin, heap});
        page.row_count += stop - begin;
        row_count_ += stop - begin;
        heap_bytes_ += heap;
        heap_bytes -= heap;
        begin = stop;
        continue;
      }
      open_ = false;
    }
    const double per_row =
        static_cast<double>(heap_bytes_ + heap_bytes) / static_cast<double>(row_count_ + (end - begin));
    if (!add_page(buffers.row_heap_bytes(buffers.rows()[begin]), per_row, schema, sizes, pool, bytes_wanted))
      break;
  }
  return begin - first;
}

// The end of the rows whose long values fit `heap_left`; `heap_taken` are their bytes.
std::uint32_t Partition::fit(const MorselBuffers& buffers, std::uint32_t begin, std::uint32_t end,
                             std::uint64_t heap_left, std::uint64_t& heap_taken) const {
  heap_taken = 0;
  for (; begin < end; ++begin) {
    const std::uint64_t bytes = buffers.row_heap_bytes(buffers.rows()[begin]);
    if (heap_taken + bytes > heap_left) break;
    heap_taken += bytes;
  }
  return begin;
}

bool Partition::add_page(std::uint64_t first_row_heap, double heap_per_row, const PageSchema& schema,
                         const PageSizes& sizes, page::PagePool& pool, std::uint64_t& bytes_wanted) {
  const std::uint64_t need = schema.regions_end(1) + first_row_heap;
  std::uint64_t bytes = sizes.next(allocated_bytes_);
  while (bytes < need && bytes < sizes.bytes_max) bytes = std::min(step_above(bytes + 1), sizes.bytes_max);
  if (bytes < need) bytes = page::round_up(need, kJumboUnitBytes);
  if (bytes > page::kPageBytesMax) throw UnsupportedType("a row of 2 GiB or more does not fit a page");

  // So many rows that regions and heap fill up together, if the rows to come are like those that came.
  const double row_bytes = static_cast<double>(schema.row_bits()) / 8;
  const double part = row_bytes / (row_bytes + heap_per_row);
  const double room = static_cast<double>(bytes - page::kHeaderBytes);
  const std::uint64_t regions = page::kHeaderBytes + static_cast<std::uint64_t>(room * part);
  const std::uint64_t capacity =
      std::max<std::uint64_t>(1, schema.rows_below(std::min(regions, bytes - first_row_heap)));

  auto* const memory = pool.allocate(bytes);
  if (memory == nullptr) {
    bytes_wanted = bytes;
    return false;
  }
  StoredPage stored;
  stored.page.bytes = memory;
  stored.page.layout =
      std::make_shared<const PageLayout>(schema, bytes, static_cast<std::uint32_t>(capacity));
  stored.page.heap_begin = bytes;
  page::start(stored.page, schema);
  pages_.push_back(std::move(stored));
  allocated_bytes_ += bytes;
  open_ = true;
  return true;
}

}  // namespace esker::shuffle
