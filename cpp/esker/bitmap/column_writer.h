// One vector per slot of a column (a value, a bin, null), all filled in one pass over the rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "esker/bitmap/wah32.h"

namespace esker::bitmap {

// Words of all slots, slot after slot: those of slot i are offsets[i] to offsets[i + 1].
struct SlotWords {
  std::vector<std::uint32_t> words;
  std::vector<std::uint64_t> offsets;
};

// Memory follows the compressed words, not the rows; `drain` gives most of it back at any time.
// Threads: one.
class Wah32ColumnWriter {
 public:
  // Puts row `first_row + i` into slot `slots[i]`, making slots up to `slot_count`. Throws
  // std::invalid_argument when a slot is not below the count, or rows do not ascend from call to call;
  // nothing was added then.
  void add(std::span<const std::int32_t> slots, std::uint64_t first_row, std::size_t slot_count);

  std::size_t slot_count() const { return writers_.size(); }

  // Memory held, in bytes.
  std::size_t held_bytes() const;

  // Hands out the words that no later row can change.
  SlotWords drain();

  // Ends all vectors and hands out the words not drained. Throws std::invalid_argument if rows lie past
  // `row_count`.
  SlotWords finish(std::uint64_t row_count);

 private:
  std::vector<Wah32Writer> writers_;
  std::uint64_t row_stop_ = 0;
};

}  // namespace esker::bitmap
