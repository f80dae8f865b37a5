#include "esker/shuffle/page_managers/chunked.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "esker/error.h"
#include "esker/memory/stream_copy.h"
#include "esker/shuffle/page_source.h"

namespace esker::shuffle {

ChunkedPages::ChunkedPages(Context context)
    : context_(context),
      chunks_(std::size_t{std::max(context.options.thread_count, 1U)} * context.partition_count()) {
  if (context.schema.has_views()) {
    throw std::invalid_argument("page manager 'chunked' takes columns of fixed width only");
  }
  if (context.options.spill_fd >= 0) {
    throw std::invalid_argument("page manager 'chunked' cannot spill; it is for rows that fit the memory");
  }
  if (context.options.optimisations.chunk_rows == 0)
    throw std::invalid_argument("chunk_rows must be at least 1");
}

// A chunk may end one page and begin the next.
void ChunkedPages::claim_chunk(std::uint32_t worker, std::uint32_t partition) {
  std::vector<Claim> claims;
  const std::size_t list = context_.store.list_of(partition);
  RowRun wanted{partition, 0, context_.options.optimisations.chunk_rows, nullptr};
  std::uint64_t bytes_wanted = 0;
  {
    const LockGuard lock(context_.store.locks(), list);
    context_.store.claim(list, wanted, claims, bytes_wanted);
  }
  std::deque<Claim>& chunks = chunks_of(worker, partition);
  chunks.insert(chunks.end(), claims.begin(), claims.end());
  if (claims.empty()) throw PoolExhausted(bytes_wanted, context_.store.pool_bytes());
}

void ChunkedPages::repair(Worker& worker, std::uint32_t partition) {
  std::vector<Claim> holes;
  const auto thread_count = static_cast<std::uint32_t>(chunks_.size() / context_.partition_count());
  for (std::uint32_t thread = 0; thread < thread_count; ++thread) {
    std::deque<Claim>& chunks = chunks_of(thread, partition);
    holes.insert(holes.end(), chunks.begin(), chunks.end());
    chunks.clear();
  }
  // The last hole of a page first: behind it there is none.
  std::sort(holes.begin(), holes.end(),
            [](const Claim& left, const Claim& right) { return left.row_begin > right.row_begin; });
  for (const Claim& hole : holes) fill(worker, hole, partition);
}

void ChunkedPages::fill(Worker& worker, const Claim& hole, std::uint32_t partition) {
  page::Page& page = hole.stored->page;
  const std::uint32_t behind = page.row_count - hole.row_begin - hole.row_count;
  const std::uint32_t moved = std::min(behind, hole.row_count);
  const page::PageSchema schema = schema_of_pages(context_.schema);
  const PageSource source(page);
  std::vector<std::uint16_t> rows;
  for (std::uint32_t done = 0; done < moved;) {
    const std::uint32_t count = std::min<std::uint32_t>(moved - done, 1U << 15);
    rows.resize(count);
    std::iota(rows.begin(), rows.end(), std::uint16_t{0});
    Claim place = hole;
    place.row_begin += done;
    place.row_count = count;
    place.first = 0;
    write({place}, {&source.view(), page.row_count - moved + done, count}, rows.data(), schema,
          context_.write_options());
    done += count;
  }
  memory::fence();
  take_off(page, schema, hole.row_count);
  hole.stored->written.store(page.row_count, std::memory_order_release);
  context_.store.list(context_.store.list_of(partition)).row_count -= hole.row_count;
  worker.accesses.merge_moves += moved;
}

}  // namespace esker::shuffle
