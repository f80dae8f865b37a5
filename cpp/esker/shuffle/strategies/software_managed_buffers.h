// Software-managed buffers (source 002, 3.5): each thread collects the rows of a partition until there are
// enough to pay for a claim.
//
// Rows of a partition come in the order of the input when there is one thread. With several, ordered, a
// thread empties its buffers at the end of its morsel, and claims space when it is the morsel's turn; what
// fills no line it leaves behind for the next in turn, so that every claim begins on a line. Where few
// partitions get most rows, a buffer would overflow again and again with the turn held: then threads sort
// references to rows, as `hybrid` does, until rows are spread again. Without order, buffers stay as they are
// from morsel to morsel, and rows come in the order in which buffers filled up.
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>

#include "esker/shuffle/strategies/buffered.h"

namespace esker::shuffle {

// References to so many rows at a time; a thread has them beside its buffers.
constexpr std::int64_t kSkewedRowsMax = 1 << 14;

template <InsertsRows Manager>
class SoftwareManagedBuffers final : public Strategy {
 public:
  SoftwareManagedBuffers(Context context, std::uint32_t thread_count)
      : Strategy(context, thread_count),
        manager_(context),
        in_turn_(context.options.ordered && thread_count > 1),
        turnstile_(in_turn_),
        sorted_(thread_count),
        buffers_(thread_count) {}

  void push(const std::vector<arrow::BatchView>& batches) override {
    if (batches.empty()) return;
    if (!shape_) {
      heap_each_ = heap_per_row(context_, batches.front());
      shape_ = StagingShape::of(context_.schema, context_.partition_count(),
                                buffer_bytes(context_.options, context_.partition_count()), heap_each_);
    }
    const bool sorts = in_turn_ && skewed_;
    skewed_ = false;
    const auto morsels =
        cut(batches, sorts ? std::min(sorted_morsel_rows(context_), kSkewedRowsMax) : morsel_rows());
    turnstile_.restart();
    std::atomic<std::size_t> next{0};
    run_team(context_, workers_,
             std::min<std::uint32_t>(thread_count(), static_cast<std::uint32_t>(morsels.size())), &turnstile_,
             [&](Worker& worker) {
               for (std::size_t i = next.fetch_add(1); i < morsels.size(); i = next.fetch_add(1)) {
                 context_.check();
                 sorts      ? place_sorted(worker, morsels[i], i)
                 : in_turn_ ? place_in_turn(worker, morsels[i], i)
                            : place(worker, morsels[i]);
               }
             });
  }

  void flush() override {
    run_team(context_, workers_, thread_count(), nullptr, [&](Worker& worker) {
      if (buffers_[worker.number]) flush_all(worker, defers());
    });
    if (any_left())
      run_team(context_, workers_, 1, nullptr, [&](Worker& worker) { flush_what_was_left(worker); });
    // Who reads a stream takes pages as they are: nothing may be left to mend.
    if constexpr (RepairsPages<Manager>) repair();
  }

  void finish() override {
    flush();
    for (auto& buffers : buffers_) buffers.reset();
    for (SortedMorsel& sorted : sorted_) sorted = {};
  }

  std::uint64_t turn_waits() const override { return turnstile_.wait_count(); }

 private:
  // Each partition is repaired by one thread.
  void repair() {
    context_.store.close_all();
    std::atomic<std::uint32_t> next{0};
    run_team(context_, workers_, thread_count(), nullptr, [&](Worker& worker) {
      for (std::uint32_t p = next.fetch_add(1); p < context_.partition_count(); p = next.fetch_add(1)) {
        manager_.repair(worker, p);
      }
    });
  }

  // In turn, a morsel should fill the buffers once.
  std::int64_t morsel_rows() const {
    return in_turn_ ? buffered_morsel_rows(context_, *shape_, heap_each_) : kMorselRowsMax;
  }

  Buffers& buffers_of(const Worker& worker) {
    auto& buffers = buffers_[worker.number];
    if (!buffers) buffers = std::make_unique<Buffers>(context_, *shape_);
    return *buffers;
  }

  // All claims of a flush come before the first copy: an atomic operation waits for the streaming stores
  // before it. Not so where rows are to be written under the lock.
  bool defers() const { return context_.options.optimisations.minimal_locking; }

  // So many rows of any width are whole lines.
  static constexpr std::uint32_t kLineRows = 16;

  bool keeps_lines(const Staging& staging) const {
    return staging.packed() && !staging.has_validity() && staging.shape().rows_max >= 4 * kLineRows;
  }

  auto copy_from(Staging& staging) {
    return [this, &staging](const std::vector<Claim>& claims) {
      staging.write(claims, context_.write_options());
    };
  }

  void place(Worker& worker, const Morsel& morsel) {
    Staging& staging = buffers_of(worker).staging();
    Writing writing(context_, worker, copy_from(staging), defers());
    fill(worker, morsel, writing, [] {});
  }

  // The turn is taken when the first buffer overflows, at the end at the latest, and kept till then.
  void place_in_turn(Worker& worker, const Morsel& morsel, std::size_t number) {
    Staging& staging = buffers_of(worker).staging();
    bool inside = false;
    const auto enter = [&] {
      if (inside) return;
      if (staging.row_count() * 2 < static_cast<std::uint64_t>(morsel.row_count)) skewed_ = true;
      if (!turnstile_.enter(number)) throw Abandoned();
      inside = true;
      take_what_was_left(staging);
    };
    Writing writing(context_, worker, copy_from(staging), defers());
    fill(worker, morsel, writing, enter);
    enter();
    if (keeps_lines(staging)) leave_part_lines(staging);
    flush_all(worker, true, [&] { turnstile_.leave(); });
  }

  void place_sorted(Worker& worker, const Morsel& morsel, std::size_t number) {
    SortedMorsel& sorted = sorted_[worker.number];
    sorted.fill(morsel, context_.schema.columns(), context_.schema.has_views(), context_.partition_of);
    const auto copy = [&](const std::vector<Claim>& claims) {
      shuffle::write(claims, morsel, sorted.rows(), context_.schema, context_.write_options());
    };
    Writing writing(context_, worker, copy, defers());
    if (!turnstile_.enter(number)) throw Abandoned();
    flush_what_was_left(worker);
    std::uint32_t most = 0;
    for (std::uint32_t p = 0; p < context_.partition_count(); ++p) {
      const RowRun run = sorted.run(p);
      if (run.begin == run.end) continue;
      most = std::max(most, run.end - run.begin);
      manager_.insert(worker, run, writing);
    }
    // A buffer that overflows before half of its morsel has thrice its share; beyond what chance makes of few
    // rows.
    if (most > 3 * morsel.row_count / context_.partition_count() + 4 * kLineRows) skewed_ = true;
    turnstile_.leave();
    writing.settle();
    worker.accesses.input_reads += 2 * static_cast<std::uint64_t>(morsel.row_count);
  }

  void flush_what_was_left(Worker& worker) {
    if (!any_left()) return;
    take_what_was_left(buffers_of(worker).staging());
    flush_all(worker, defers());
  }

  // Rows of a morsel that filled no line, for the next in turn. Only who is in turn touches them.
  struct Left {
    std::vector<std::uint8_t> rows;
    std::vector<std::uint32_t> counts;
  };

  bool any_left() const {
    return std::any_of(left_.counts.begin(), left_.counts.end(),
                       [](std::uint32_t count) { return count > 0; });
  }

  std::uint8_t* left_of(std::uint32_t partition, const Staging& staging) {
    return left_.rows.data() + std::size_t{partition} * Staging::kBeforeMax * staging.row_stride();
  }

  void take_what_was_left(Staging& staging) {
    for (std::uint32_t p = 0; p < left_.counts.size(); ++p) {
      if (left_.counts[p] > 0) staging.prepend(p, left_of(p, staging), left_.counts[p]);
      left_.counts[p] = 0;
    }
  }

  void leave_part_lines(Staging& staging) {
    if (left_.counts.empty()) {
      left_.counts.resize(context_.partition_count());
      left_.rows.resize(std::size_t{context_.partition_count()} * Staging::kBeforeMax * staging.row_stride());
    }
    for (std::uint32_t p = 0; p < context_.partition_count(); ++p) {
      const std::uint32_t whole = staging.rows(p) & ~(kLineRows - 1);
      left_.counts[p] = staging.move_rest(p, whole, left_of(p, staging));
    }
  }

  template <class Copy, class Enter>
  void fill(Worker& worker, const Morsel& morsel, Writing<Copy>& writing, const Enter& enter) {
    Staging& staging = buffers_of(worker).staging();
    const auto flush = [&](const std::vector<std::uint32_t>& partitions) {
      enter();
      // Rows that fill no line stay, so that claims begin on lines.
      const std::uint32_t kept = keeps_lines(staging) ? kLineRows - 1 : 0;
      for (const std::uint32_t partition : partitions) {
        RowRun run = staging.run(partition);
        run.end &= ~kept;
        manager_.insert(worker, run, writing);
      }
      writing.settle();
      for (const std::uint32_t partition : partitions) {
        kept > 0 ? staging.keep_from(partition, staging.rows(partition) & ~kept) : staging.clear(partition);
      }
    };
    const auto direct = [&](std::uint32_t partition, std::int64_t row, std::uint32_t heap) {
      enter();
      insert_directly(worker, partition, {morsel.batch, row, 1}, heap);
    };
    buffers_of(worker).fill(morsel, flush, direct);
    worker.accesses.input_reads += static_cast<std::uint64_t>(morsel.row_count);
    worker.accesses.buffer_writes += static_cast<std::uint64_t>(morsel.row_count);
  }

  void insert_directly(Worker& worker, std::uint32_t partition, const Morsel& single, std::uint32_t heap) {
    const std::uint16_t row = 0;
    const std::uint64_t heap_end = heap;
    const auto copy = [&](const std::vector<Claim>& claims) {
      for (const Claim& claim : claims) write_rows(claim, single, &row, context_.schema);
    };
    Writing writing(context_, worker, copy, false);
    manager_.insert(worker, RowRun{partition, 0, 1, &heap_end}, writing);
  }

  // Claims for every buffer, and writes at once, or when `claimed` was called.
  template <class Claimed>
  void flush_all(Worker& worker, bool defer, const Claimed& claimed) {
    Staging& staging = buffers_of(worker).staging();
    Writing writing(context_, worker, copy_from(staging), defer);
    for (std::uint32_t p = 0; p < context_.partition_count(); ++p) {
      if (staging.rows(p) > 0) manager_.insert(worker, staging.run(p), writing);
    }
    claimed();
    writing.settle();
    for (std::uint32_t p = 0; p < context_.partition_count(); ++p) staging.clear(p);
  }
  void flush_all(Worker& worker, bool defer) {
    flush_all(worker, defer, [] {});
  }

  Manager manager_;
  bool in_turn_;
  Turnstile turnstile_;
  std::optional<StagingShape> shape_;
  double heap_each_ = 0;
  Left left_;
  std::atomic<bool> skewed_{false};  // what the push before this one found
  std::vector<SortedMorsel> sorted_;
  std::vector<std::unique_ptr<Buffers>> buffers_;
};

}  // namespace esker::shuffle
