// The shuffle: takes batches, keeps their rows in pages by partition, gives the pages back partition by
// partition.
//
// push: morsels of the batches are spread over threads. Each thread sorts the rows of its morsel by partition
// into its own buffers, passes the turnstile to claim space for all of them at once, and writes them outside.
// When the pool is exhausted, the thread inside waits until everything claimed is written, and spills.
//
// Threads: push from one thread at a time (others wait); once `finish` has returned, `next` from any.
#pragma once

#include <atomic>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "esker/page/page_batch.h"
#include "esker/page/page_pool.h"
#include "esker/shuffle/partition.h"
#include "esker/shuffle/partition_function.h"
#include "esker/shuffle/spill_file.h"
#include "esker/shuffle/turnstile.h"

namespace esker::shuffle {

struct ShuffleOptions {
  Function function = Function::hash;
  std::uint64_t seed = 0;
  std::uint32_t thread_count = 1;
  bool ordered = true;
  std::uint64_t page_bytes_max = 5 << 20;
  int spill_fd = -1;  // taken over
  std::uint64_t spill_limit_bytes = 0;
};

struct ShuffleStatistics {
  std::uint64_t rows = 0;
  std::uint64_t pages = 0;
  std::map<std::uint64_t, std::uint64_t> pages_by_bytes;
  std::uint64_t payload_bytes = 0;
  std::uint64_t allocated_bytes = 0;
  std::uint64_t spilled_bytes = 0;
  std::uint64_t spilled_pages = 0;
  std::uint64_t pool_peak_bytes = 0;
  std::uint64_t morsels = 0;
  std::uint64_t claims = 0;
  std::uint64_t lock_waits = 0;
};

// A page that left the shuffle: whoever holds it may read it.
struct LeasedPage {
  page::Page page;
  std::shared_ptr<page::PageLease> lease;
};

class Shuffle {
 public:
  Shuffle(std::vector<arrow::ColumnType> columns, std::vector<int> keys, std::uint32_t partition_count,
          std::shared_ptr<page::PagePool> pool, const ShuffleOptions& options);
  ~Shuffle();
  Shuffle(const Shuffle&) = delete;
  Shuffle& operator=(const Shuffle&) = delete;

  const page::PageSchema& schema() const { return schema_; }
  std::uint32_t partition_count() const { return partition_of_.partition_count(); }

  // Returns when every row is in a page. After an exception only `free` is of use.
  void push(const std::vector<arrow::BatchView>& batches);
  // No more rows; partitions may be read.
  void finish();
  // The partition's next page in order, each once; nothing after the last. Reads spilled pages back.
  std::optional<LeasedPage> next(std::uint32_t partition);
  // Gives all pages back that nobody was handed.
  void free();
  // Makes a running push end with Interrupted; from any thread.
  void interrupt() { interrupted_.store(true, std::memory_order_relaxed); }

  std::vector<std::uint64_t> partition_rows() const;
  std::vector<std::uint64_t> partition_bytes() const;
  ShuffleStatistics statistics() const;

  // What a shuffle takes beside its pool.
  static std::uint64_t overhead_bytes(std::uint32_t partition_count, std::uint32_t thread_count);

 private:
  enum class State : std::uint8_t { filling, failed, finished, freed };
  struct Worker {
    MorselBuffers buffers;
    std::vector<Claim> claims;
    std::uint64_t claim_count = 0;
    std::exception_ptr error;
  };

  std::vector<Morsel> morsels_of(const std::vector<arrow::BatchView>& batches) const;
  void work(Worker& worker, const std::vector<Morsel>& morsels, std::atomic<std::size_t>& next);
  bool place(Worker& worker, std::size_t number);
  bool make_room_inside(Worker& worker, std::uint64_t bytes_wanted);
  bool spill(std::uint64_t bytes_wanted);
  std::uint64_t spill_closed(std::uint64_t bytes_wanted);
  std::uint64_t spill_open(std::uint64_t bytes_wanted);
  std::uint64_t spill_page(std::uint32_t partition, StoredPage& stored);
  std::uint8_t* memory_for(std::uint64_t page_bytes);
  void require(State state, const char* what) const;
  void give_back_pages() noexcept;

  const page::PageSchema schema_;
  const PartitionFunction partition_of_;
  const std::shared_ptr<page::PagePool> pool_;
  const ShuffleOptions options_;
  const PageSizes sizes_;
  mutable std::mutex mutex_;  // the state, and all pages once finished
  State state_ = State::filling;
  std::vector<Partition> partitions_;
  std::vector<Worker> workers_;
  Turnstile turnstile_;
  // Gone once freed; who reads a page at that moment holds it.
  std::shared_ptr<SpillFile> spill_file_;
  std::atomic<bool> interrupted_{false};
  std::uint64_t spilled_bytes_ = 0;
  std::uint64_t spilled_pages_ = 0;
  std::uint64_t morsel_count_ = 0;
  std::uint64_t claim_count_ = 0;
};

}  // namespace esker::shuffle
