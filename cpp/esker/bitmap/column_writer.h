// One vector per slot of a column (a value, a bin, null), all filled in one pass over the rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "esker/bitmap/wah.h"

namespace esker::bitmap {

// Words of all slots, slot after slot: those of slot i are offsets[i] to offsets[i + 1].
struct SlotWords {
  std::vector<std::uint32_t> words;
  std::vector<std::uint64_t> offsets;
};

// Writes the WAH32 words of one slot.
class SlotWriter {
 public:
  void add_row(std::uint64_t row) { writer_.add_row(row); }
  // Adds the rows of a vector, moved behind `first_row`.
  void add_vector(std::span<const std::uint32_t> words, std::uint64_t first_row);
  void drain(std::vector<std::uint32_t>& out) { writer_.sink().drain(out); }
  std::size_t capacity_bytes() const { return writer_.sink().words().capacity_bytes(); }

  // Ends the vector; gives the words not drained. Holds: every row added is below `row_count`.
  Buffer<std::uint32_t> finish(std::uint64_t row_count) {
    writer_.finish(row_count);
    return writer_.sink().take();
  }

 private:
  RowRunWriter<Groups31, wah::Sink<Groups31>> writer_;
};

// Memory follows the compressed words, not the rows; `drain` gives most of it back at any time.
// Threads: one.
class Wah32ColumnWriter {
 public:
  Wah32ColumnWriter() = default;
  Wah32ColumnWriter(const Wah32ColumnWriter&) = delete;
  Wah32ColumnWriter& operator=(const Wah32ColumnWriter&) = delete;

  // Puts row `first_row + i` into slot `slots[i]`, making slots up to `slot_count`. Throws
  // InvalidInput when a slot is not below the count, or rows do not ascend from call to call;
  // nothing was added then.
  void add(std::span<const std::int32_t> slots, std::uint64_t first_row, std::size_t slot_count);

  // Puts the rows of finished vectors behind: bit `r` of vector `i` is row `first_row + r`, and goes to
  // slot `slots[i]`. Every row of `row_count` has to lie in one vector. Throws BitmapCorrupt when words
  // are not what `finish` gives or rows are missing or too many, InvalidInput as `add` does; nothing was
  // added then.
  void add_vectors(std::span<const std::uint32_t> words, std::span<const std::uint64_t> offsets,
                   std::span<const std::int32_t> slots, std::uint64_t first_row, std::uint64_t row_count,
                   std::size_t slot_count);

  std::size_t slot_count() const { return writers_.size(); }

  // Memory held, in bytes.
  std::size_t held_bytes() const;

  // Hands out the words that no later row can change.
  SlotWords drain();

  // Ends all vectors and hands out the words not drained. Throws InvalidInput if rows lie past
  // `row_count`.
  SlotWords finish(std::uint64_t row_count);

 private:
  std::vector<SlotWriter> writers_;
  std::uint64_t row_stop_ = 0;
};

}  // namespace esker::bitmap
