#include "esker/hash/code_table.h"

#include <algorithm>
#include <bit>

namespace esker::hash {
namespace {

// Half of the slots stay empty, so that a chain is short.
constexpr std::size_t kSlotsOfACode = 2;
// Lookups in the air while their slots come from memory.
constexpr std::size_t kAhead = 16;
// Fibonacci hashing: the high bits of the product are as good as any (Knuth, volume 3, 6.4).
constexpr std::uint64_t kGolden = 0x9E37'79B9'7F4A'7C15;

}  // namespace

CodeTable::CodeTable(std::span<const std::int64_t> codes, std::int64_t* numbers) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(kSlotsOfACode * codes.size(), 2));
  slots_.assign(size, {0, -1});
  shift_ = 64 - std::countr_zero(size);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (i + kAhead < codes.size()) __builtin_prefetch(&slots_[place_of(codes[i + kAhead])]);
    std::size_t place = place_of(codes[i]);
    while (slots_[place].number >= 0 && slots_[place].code != codes[i]) place = (place + 1) & (size - 1);
    Slot& slot = slots_[place];
    if (slot.number < 0) slot = {codes[i], code_count_++};
    numbers[i] = slot.number;
  }
}

void CodeTable::find(std::span<const std::int64_t> codes, std::int64_t* numbers) const {
  const std::size_t size = slots_.size();
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (i + kAhead < codes.size()) __builtin_prefetch(&slots_[place_of(codes[i + kAhead])]);
    std::size_t place = place_of(codes[i]);
    while (slots_[place].number >= 0 && slots_[place].code != codes[i]) place = (place + 1) & (size - 1);
    numbers[i] = slots_[place].number;
  }
}

std::size_t CodeTable::place_of(std::int64_t code) const {
  return static_cast<std::size_t>((static_cast<std::uint64_t>(code) * kGolden) >> shift_);
}

}  // namespace esker::hash
