// Chunked claims: a thread claims many rows of a page at a time, more than it has, and fills them without a
// lock; at the end what it did not need is a hole, which the last rows of the page fill.
//
// For columns of fixed width: nobody knows the bytes of rows that are still to come. A page with a hole is
// not settled, so there must be room for all pages: without a file to spill to.
#pragma once

#include <deque>

#include "esker/shuffle/page_managers/page_manager.h"

namespace esker::shuffle {

class ChunkedPages {
 public:
  // Throws std::invalid_argument for rows and options it cannot serve.
  explicit ChunkedPages(Context context);

  template <class Copy>
  void insert(Worker& worker, RowRun run, Writing<Copy>& writing) {
    std::deque<Claim>& chunks = chunks_of(worker.number, run.partition);
    while (run.begin < run.end) {
      if (chunks.empty()) {
        claim_chunk(worker.number, run.partition);
        continue;
      }
      Claim& chunk = chunks.front();
      Claim claim = chunk;
      claim.first = run.begin;
      claim.row_count = std::min(chunk.row_count, run.end - run.begin);
      worker.claims.push_back(claim);
      run.begin += claim.row_count;
      chunk.row_begin += claim.row_count;
      chunk.row_count -= claim.row_count;
      if (chunk.row_count == 0) chunks.pop_front();
    }
    writing.claimed();
  }

  // Fills the holes of a partition's pages.
  void repair(Worker& worker, std::uint32_t partition);

 private:
  std::deque<Claim>& chunks_of(std::uint32_t worker, std::uint32_t partition) {
    return chunks_[std::size_t{worker} * context_.partition_count() + partition];
  }
  void claim_chunk(std::uint32_t worker, std::uint32_t partition);
  void fill(Worker& worker, const Claim& hole, std::uint32_t partition);

  Context context_;
  std::vector<std::deque<Claim>> chunks_;  // of each thread and partition
};

static_assert(InsertsRows<ChunkedPages> && !AssignsHistograms<ChunkedPages> && RepairsPages<ChunkedPages>);

}  // namespace esker::shuffle
