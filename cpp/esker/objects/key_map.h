// From keys, as canonical bytes, to numbers 0, 1, 2, ... in order of first appearance.
//
// Threads: one. Open addressing with linear probing, at most half full. Keys that come in the same order
// again and again, as the columns of a row do, are found without hashing: the key after the last one found is
// looked at first.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "esker/objects/byte_log.h"
#include "esker/objects/item.h"

namespace esker::objects {

struct Key {
  const std::uint8_t* canonical;
  // What is given back: the same bytes where the first key seen was in canonical form.
  const std::uint8_t* original;
  std::uint32_t canonical_bytes;
  std::uint32_t original_bytes;
  std::int64_t hash;

  Bytes canonical_form() const { return {canonical, canonical_bytes}; }
  Bytes original_form() const { return {original, original_bytes}; }
};

class KeyMap {
 public:
  struct Found {
    std::uint32_t number;
    bool is_new;
  };

  // `original` may be the same bytes as `canonical`.
  Found find_or_add(BlockPool& pool, Bytes canonical, Bytes original) {
    if (guess_ < keys_.size()) {
      const Key& key = keys_[guess_];
      if (key.canonical_bytes == canonical.size() &&
          std::memcmp(key.canonical, canonical.data(), canonical.size()) == 0) {
        return found(guess_);
      }
    }
    return look_up(pool, canonical, original);
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(keys_.size()); }
  const Key& operator[](std::uint32_t number) const { return keys_[number]; }
  std::size_t held_bytes() const { return keys_.capacity() * sizeof(Key) + slots_.capacity() * sizeof(Slot); }
  void clear();

 private:
  struct Slot {
    std::uint32_t number_plus_one = 0;
    std::uint32_t hash_bits = 0;
  };

  Found found(std::uint32_t number) {
    guess_ = number + 1 < keys_.size() ? number + 1 : 0;
    return {number, false};
  }
  Found look_up(BlockPool& pool, Bytes canonical, Bytes original);
  Key stored(BlockPool& pool, Bytes canonical, Bytes original, std::int64_t hash);
  void grow();

  std::vector<Key> keys_;
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::uint32_t guess_ = 0;
};

}  // namespace esker::objects
