// What the parts of a shuffle share: what the rows are, where they go, and how it was asked to be done.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "esker/error.h"
#include "esker/page/page_layout.h"
#include "esker/shuffle/page_store.h"
#include "esker/shuffle/page_writer.h"
#include "esker/shuffle/partition_function.h"

namespace esker::shuffle {

// Each can be turned off, so that its effect can be measured (source 002, 3.3.5, and what was learnt since).
struct Optimisations {
  bool padded_locks = true;         // a lock, and an atomic, on a cache line of its own
  bool minimal_locking = true;      // claim inside the lock, write outside
  bool two_step = true;             // columns first, bytes of long values last; else row by row
  bool streaming_stores = true;     // whole lines past the cache
  bool power_of_two = true;         // & in place of % where the number of partitions allows it
  std::uint32_t chunk_rows = 1024;  // rows a thread claims at a time, where claims are chunked
};

struct ShuffleOptions {
  Function function = Function::hash;
  std::uint64_t seed = 0;
  std::uint32_t thread_count = 1;
  bool ordered = true;
  std::uint64_t page_bytes_max = 5 << 20;
  int spill_fd = -1;  // taken over
  std::uint64_t spill_limit_bytes = 0;
  std::uint64_t buffer_bytes = 0;  // of all buffers of a thread; 0: what suits the second-level cache
  std::uint32_t key_only_columns =
      0;  // so many columns at the end only say the partition, and are in no page
  Optimisations optimisations;
};

// How often rows were touched: what the complexity of a strategy comes to.
struct AccessCounts {
  std::uint64_t input_reads = 0;    // rows whose key was read from the input, each time
  std::uint64_t buffer_writes = 0;  // rows copied into a buffer
  std::uint64_t page_writes = 0;    // rows written to a page
  std::uint64_t merge_moves = 0;    // rows moved from one page to another

  void add(const AccessCounts& other) {
    input_reads += other.input_reads;
    buffer_writes += other.buffer_writes;
    page_writes += other.page_writes;
    merge_moves += other.merge_moves;
  }
};

struct Context {
  const page::PageSchema& schema;
  const PartitionFunction& partition_of;
  PageStore& store;
  const ShuffleOptions& options;
  std::atomic<bool>& interrupted;

  std::uint32_t partition_count() const { return partition_of.partition_count(); }
  WriteOptions write_options() const {
    return {options.optimisations.streaming_stores, options.optimisations.two_step};
  }
  void check() const {
    if (interrupted.load(std::memory_order_relaxed)) throw Interrupted("the shuffle was interrupted");
    if (store.abandoned()) throw Abandoned();
  }
};

// What a thread of the shuffle has for itself.
struct Worker {
  std::uint32_t number = 0;
  std::vector<Claim> claims;       // of the moment
  std::vector<Claim> deferred;     // to be written later
  std::vector<Claim> unpublished;  // written, but nobody was told
  std::uint64_t claim_count = 0;
  AccessCounts accesses;

  void wrote(const std::vector<Claim>& done) {
    for (const Claim& claim : done) accesses.page_writes += claim.row_count;
    claim_count += done.size();
    unpublished.insert(unpublished.end(), done.begin(), done.end());
    // A fence waits for all that is under way: one for many claims.
    if (unpublished.size() >= kPublishAt) publish_all();
  }
  void publish_all() {
    if (unpublished.empty()) return;
    publish(unpublished);
    unpublished.clear();
  }

 private:
  static constexpr std::size_t kPublishAt = 256;
};

// Copies the rows of claims to where they are claimed: at once, or when it is told to.
template <class Copy>
class Writing {
 public:
  Writing(Context& context, Worker& worker, Copy copy, bool defer)
      : context_(context), worker_(worker), copy_(std::move(copy)), defer_(defer) {}

  // Takes the worker's claims.
  void claimed() {
    if (defer_) {
      worker_.deferred.insert(worker_.deferred.end(), worker_.claims.begin(), worker_.claims.end());
    } else if (!worker_.claims.empty()) {
      copy_(worker_.claims);
      worker_.wrote(worker_.claims);
    }
    worker_.claims.clear();
  }

  // Leaves no claim unwritten and nothing unpublished.
  void settle() {
    if (!worker_.deferred.empty()) {
      copy_(worker_.deferred);
      worker_.wrote(worker_.deferred);
      worker_.deferred.clear();
    }
    worker_.publish_all();
  }

  void wait_for_room(std::uint64_t bytes_wanted) {
    settle();
    context_.check();
    context_.store.make_room(bytes_wanted);
  }

 private:
  Context& context_;
  Worker& worker_;
  Copy copy_;
  bool defer_;
};

}  // namespace esker::shuffle
