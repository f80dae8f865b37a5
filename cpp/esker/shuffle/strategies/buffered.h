// What strategies with software-managed buffers share: a thread's buffers, and how a morsel goes through
// them.
#pragma once

#include <array>
#include <memory>

#include "esker/shuffle/page_managers/page_manager.h"
#include "esker/shuffle/staging.h"
#include "esker/shuffle/strategies/strategy.h"

namespace esker::shuffle {

// The buffers of a thread should stay in the second-level cache, beside the input that passes by; but a
// buffer that is emptied every few rows costs more than one that is fetched from the third level: 4 KiB a
// partition were best from 256 to 4096 partitions.
inline std::uint64_t buffer_bytes(const ShuffleOptions& options, std::uint32_t partition_count) {
  constexpr std::uint64_t kLeast = 1 << 20;
  constexpr std::uint64_t kMost = 16 << 20;
  constexpr std::uint64_t kEach = 4 << 10;
  if (options.buffer_bytes > 0) return options.buffer_bytes;
  return std::clamp(kEach * partition_count, kLeast, kMost);
}

// The bytes that long values of a row take on average, judged by the first rows.
inline double heap_per_row(const Context& context, const arrow::BatchView& batch) {
  constexpr std::int64_t kSampleRows = 4096;
  if (!context.schema.has_views() || batch.row_count == 0) return 0;
  std::array<std::uint32_t, kSampleRows> heap;
  const std::int64_t rows = std::min(kSampleRows, batch.row_count);
  measure_heap(batch, context.schema.columns(), 0, rows, heap.data());
  double sum = 0;
  for (std::int64_t i = 0; i < rows; ++i) sum += heap[static_cast<std::size_t>(i)];
  return sum / static_cast<double>(rows);
}

// One thread's buffers and what fills them.
class Buffers {
 public:
  Buffers(const Context& context, StagingShape shape)
      : context_(context),
        staging_(context.schema, context.partition_count(), shape),
        block_(context.schema.has_views()),
        block_rows_max_(std::clamp(context.partition_count(), kBlockRows, StagingBlock::kRowsMax)),
        block_rows_(block_rows_max_) {}

  Staging& staging() { return staging_; }

  // Takes all rows of a morsel. `flush(partitions)` empties buffers; `direct(partition, row, heap)` places a
  // row whose long values exceed one.
  template <class Flush, class Direct>
  void fill(const Morsel& morsel, const Flush& flush, const Direct& direct) {
    if (staging_.takes_packed(*morsel.batch)) return fill_packed(morsel, flush);
    for (std::int64_t done = 0; done < morsel.row_count;) {
      auto count = static_cast<std::uint32_t>(std::min<std::int64_t>(block_rows_, morsel.row_count - done));
      const std::int64_t begin = morsel.row_begin + done;
      block_.measure(*morsel.batch, begin, count, context_.schema, context_.partition_of);
      count = take(*morsel.batch, begin, count, flush, direct);
      done += count;
    }
  }

 private:
  static constexpr std::uint32_t kBlockRows = 1024;
  static constexpr std::uint32_t kLookRows = 16;

  // Rows go one by one to where they belong, until one finds its buffer full.
  template <class Flush>
  void fill_packed(const Morsel& morsel, const Flush& flush) {
    for (std::int64_t done = 0; done < morsel.row_count;) {
      const auto count =
          static_cast<std::uint32_t>(std::min<std::int64_t>(kBlockRows, morsel.row_count - done));
      const std::int64_t begin = morsel.row_begin + done;
      context_.partition_of(*morsel.batch, begin, count, block_.partitions.data());
      for (std::uint32_t taken = 0; taken < count;) {
        taken += staging_.take_packed(*morsel.batch, begin + taken, count - taken,
                                      block_.partitions.data() + taken);
        if (taken < count) make_room(block_.partitions[taken], flush);
      }
      done += count;
    }
  }

  // Makes room and takes fewer rows until some fit; returns how many.
  template <class Flush, class Direct>
  std::uint32_t take(const arrow::BatchView& batch, std::int64_t begin, std::uint32_t count,
                     const Flush& flush, const Direct& direct) {
    if (is_nearly_full()) flush_half_full(flush);
    for (bool flushed = false;; flushed = true) {
      const std::uint32_t before = staging_.fullest_rows();
      const std::uint32_t heap_before = staging_.fullest_heap();
      if (staging_.take(batch, begin, count, block_)) {
        grown_rows_ = staging_.fullest_rows() - before;
        grown_heap_ = staging_.fullest_heap() - heap_before;
        if (count == block_rows_) block_rows_ = std::min(block_rows_ * 2, block_rows_max_);
        return count;
      }
      if (!flushed) {
        flush_half_full(flush);
      } else if (count > 1) {
        // Many rows for one partition: smaller blocks, and more of them from now on.
        count = block_rows_ = count / 2;
        flush_half_full(flush);
      } else {
        full_.assign(1, block_.partitions[0]);
        flush(full_);
        if (!staging_.take(batch, begin, 1, block_)) {
          direct(block_.partitions[0], begin, block_.heap.empty() ? 0 : block_.heap[0]);
        }
        return 1;
      }
    }
  }

  // Whether the next block would overflow the fullest buffer, if it grows as it did.
  bool is_nearly_full() const {
    return staging_.fullest_rows() + grown_rows_ > staging_.shape().rows_max ||
           staging_.fullest_heap() + grown_heap_ > staging_.shape().heap_max;
  }

  // When the last look at all buffers found few to empty, the full one is emptied alone a number of times:
  // with most rows in few partitions, looking would take longer than placing rows.
  template <class Flush>
  void make_room(std::uint32_t partition, const Flush& flush) {
    if (alone_ > 0) {
      --alone_;
      full_.assign(1, partition);
      flush(full_);
      return;
    }
    flush_half_full(flush);
    alone_ = context_.partition_count() /
             (kLookRows * static_cast<std::uint32_t>(std::max<std::size_t>(full_.size(), 1)));
  }

  template <class Flush>
  void flush_half_full(const Flush& flush) {
    full_.clear();
    for (std::uint32_t p = 0; p < context_.partition_count(); ++p) {
      if (staging_.is_half_full(p)) full_.push_back(p);
    }
    flush(full_);
  }

  const Context& context_;
  Staging staging_;
  StagingBlock block_;
  const std::uint32_t block_rows_max_;
  std::uint32_t block_rows_;
  std::uint32_t grown_rows_ = 0;
  std::uint32_t grown_heap_ = 0;
  std::uint32_t alone_ = 0;
  std::vector<std::uint32_t> full_;
};

// Rows of a morsel that go through the buffers before it is let go, when it must be emptied at its end: so
// many that they fill the buffers to two thirds.
inline std::int64_t buffered_morsel_rows(const Context& context, const StagingShape& shape,
                                         double heap_each) {
  const std::int64_t by_rows = std::int64_t{context.partition_count()} * shape.rows_max * 2 / 3;
  if (heap_each <= 0) return std::max<std::int64_t>(by_rows, 1);
  const auto by_heap =
      static_cast<std::int64_t>(context.partition_count() * (shape.heap_max * 2.0 / 3.0) / heap_each);
  return std::max<std::int64_t>(std::min(by_rows, by_heap), 1);
}

}  // namespace esker::shuffle
