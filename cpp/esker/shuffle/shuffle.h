// The shuffle: takes batches, keeps their rows in pages by partition, gives the pages back partition by
// partition.
//
// How rows get there is a strategy's and a page manager's; `combinations` lists the pairs there are.
//
// Threads: push from one thread at a time (others wait); once `finish` has returned, `next` from any.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "esker/page/page_batch.h"
#include "esker/page/page_pool.h"
#include "esker/shuffle/context.h"
#include "esker/shuffle/page_store.h"
#include "esker/shuffle/partition_function.h"

namespace esker::shuffle {

class Strategy;

// A strategy with a page manager.
struct Combination {
  std::string_view strategy;
  std::string_view pages;
  bool ordered;              // several threads give the rows of a partition in the order of the input
  std::uint32_t lists_each;  // lists of pages a partition has for each thread; 0: one for all
};

// All there are; the first of a strategy is its usual one.
const std::vector<Combination>& combinations();
// Throws std::invalid_argument for a strategy or a pair that there is not. An empty `pages` takes the usual
// ones.
const Combination& combination(std::string_view strategy, std::string_view pages);

struct ShuffleStatistics : PageCounts {
  std::uint64_t pool_peak_bytes = 0;
  std::uint64_t morsels = 0;
  std::uint64_t claims = 0;
  std::uint64_t turn_waits = 0;
  AccessCounts accesses;
};

class Shuffle {
 public:
  // Throws std::invalid_argument when the options do not fit one another.
  Shuffle(std::vector<arrow::ColumnType> columns, std::vector<int> keys, std::uint32_t partition_count,
          std::shared_ptr<page::PagePool> pool, const Combination& combination,
          const ShuffleOptions& options);
  ~Shuffle();
  Shuffle(const Shuffle&) = delete;
  Shuffle& operator=(const Shuffle&) = delete;

  const page::PageSchema& schema() const { return schema_; }
  // The columns that batches have: those of pages, and keys that only say the partition.
  const std::vector<arrow::ColumnType>& columns() const { return columns_; }
  std::uint32_t partition_count() const { return partition_of_.partition_count(); }

  // Returns when no batch is needed any more. After an exception only `free` is of use.
  void push(const std::vector<arrow::BatchView>& batches);
  // For streams, while more rows may come: puts all there are in pages and closes these.
  void flush();
  // The same, while more rows may come: the partition's next page that takes no more rows.
  std::optional<LeasedPage> ready(std::uint32_t partition);
  // No more rows; partitions may be read.
  void finish();
  // The partition's next page in order, each once; nothing after the last. Reads spilled pages back.
  std::optional<LeasedPage> next(std::uint32_t partition);
  // The partition's next pages as one batch, of the types that were pushed or of those that pages hold,
  // filled into `out`; false after the last. A page that needs no other types and is not small is handed on
  // as it is; others are joined until about `bytes_max`, into memory of the pool.
  bool next_batch(std::uint32_t partition, std::uint64_t bytes_max, page::Types types, ArrowArray* out);
  // Gives all pages back that nobody was handed.
  void free();
  // Makes a running push end with Interrupted; from any thread.
  void interrupt() { interrupted_.store(true, std::memory_order_relaxed); }

  std::vector<std::uint64_t> partition_rows() const;
  std::vector<std::uint64_t> partition_bytes() const;
  ShuffleStatistics statistics() const;

  // What a shuffle takes beside its pool.
  static std::uint64_t overhead_bytes(const std::vector<arrow::ColumnType>& columns,
                                      std::uint32_t partition_count, const Combination& combination,
                                      std::uint32_t thread_count, std::uint64_t buffer_bytes);

 private:
  enum class State : std::uint8_t { filling, failed, finished, freed };

  void require(State state, const char* what) const;
  void require_readable(std::uint32_t partition) const;

  const std::vector<arrow::ColumnType> columns_;
  const page::PageSchema schema_;
  const bool came_as_held_;
  const PartitionFunction partition_of_;
  const std::shared_ptr<page::PagePool> pool_;
  const ShuffleOptions options_;
  std::atomic<bool> interrupted_{false};
  mutable std::mutex mutex_;  // the state
  State state_ = State::filling;
  PageStore store_;
  std::unique_ptr<Strategy> strategy_;
  std::uint64_t claims_ = 0;
  std::uint64_t morsels_ = 0;
  std::uint64_t turn_waits_ = 0;
  AccessCounts accesses_;
};

}  // namespace esker::shuffle
