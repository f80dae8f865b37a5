#include "esker/objects/key_map.h"

#include <algorithm>
#include <cstring>

#include "esker/error.h"
#include "esker/hash/row_hash.h"

namespace esker::objects {
namespace {

constexpr std::size_t kKeyBytesMax = 0xFFFF'FFFF;
constexpr std::size_t kKeysMax = 0xFFFF'FFF0;

std::uint8_t* copied(BlockPool& pool, Bytes bytes) {
  std::uint8_t* copy = pool.take(bytes.size());
  std::memcpy(copy, bytes.data(), bytes.size());
  return copy;
}

bool same(Bytes left, Bytes right) {
  return left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace

KeyMap::Found KeyMap::look_up(BlockPool& pool, Bytes canonical, Bytes original) {
  if (keys_.size() * 2 >= slots_.size()) grow();
  const std::int64_t hash = stable_hash(canonical);
  const std::uint64_t spread = hash::mix(static_cast<std::uint64_t>(hash));
  const auto hash_bits = static_cast<std::uint32_t>(spread >> 32);
  for (std::size_t at = spread & mask_;; at = (at + 1) & mask_) {
    Slot& slot = slots_[at];
    if (slot.number_plus_one == 0) {
      keys_.push_back(stored(pool, canonical, original, hash));
      guess_ = 0;
      slot = {static_cast<std::uint32_t>(keys_.size()), hash_bits};
      return {static_cast<std::uint32_t>(keys_.size() - 1), true};
    }
    if (slot.hash_bits != hash_bits) continue;
    const std::uint32_t number = slot.number_plus_one - 1;
    if (same(keys_[number].canonical_form(), canonical)) return found(number);
  }
}

Key KeyMap::stored(BlockPool& pool, Bytes canonical, Bytes original, std::int64_t hash) {
  if (canonical.size() > kKeyBytesMax || original.size() > kKeyBytesMax) {
    throw InvalidInput("a key takes more than 4 GiB");
  }
  if (keys_.size() >= kKeysMax) throw InvalidInput("a partition has more than 4,294,967,280 keys");
  const std::uint8_t* kept = copied(pool, canonical);
  const std::uint8_t* given_back = same(canonical, original) ? kept : copied(pool, original);
  return {kept, given_back, static_cast<std::uint32_t>(canonical.size()),
          static_cast<std::uint32_t>(original.size()), hash};
}

void KeyMap::grow() {
  const std::size_t size = std::max<std::size_t>(slots_.size() * 2, 64);
  slots_.assign(size, {});
  mask_ = size - 1;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const std::uint64_t spread = hash::mix(static_cast<std::uint64_t>(keys_[i].hash));
    std::size_t at = spread & mask_;
    while (slots_[at].number_plus_one != 0) at = (at + 1) & mask_;
    slots_[at] = {static_cast<std::uint32_t>(i + 1), static_cast<std::uint32_t>(spread >> 32)};
  }
}

// Assigning `{}` would keep what the vectors hold.
void KeyMap::clear() {
  keys_ = decltype(keys_)();
  slots_ = decltype(slots_)();
  mask_ = 0;
  guess_ = 0;
}

}  // namespace esker::objects
