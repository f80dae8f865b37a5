// Many growing byte sequences out of few large blocks.
//
// Threads: one. Holds: a log's chunks are linked in order, all full but the last.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "esker/objects/item.h"

namespace esker::objects {

// Hands out memory that is given back all at once.
class BlockPool {
 public:
  std::uint8_t* take(std::size_t size) {
    size = (size + 7) & ~std::size_t{7};
    if (size > left_) add_block(size);
    std::uint8_t* taken = at_;
    at_ += size;
    left_ -= size;
    return taken;
  }

  std::size_t held_bytes() const { return held_bytes_; }

  void clear() {
    blocks_.clear();
    held_bytes_ = left_ = 0;
    at_ = nullptr;
  }

 private:
  // Blocks grow with what is held, so that a small table is small. From 1 MiB on the allocator maps each by
  // itself, so that they go back to the system when they are freed.
  void add_block(std::size_t wanted) {
    const std::size_t grown =
        std::clamp<std::size_t>(held_bytes_ / 4, std::size_t{1} << 10, std::size_t{1} << 20);
    const std::size_t size = std::max(wanted, grown);
    blocks_.push_back(std::unique_ptr<std::uint8_t[]>(new std::uint8_t[size]));
    at_ = blocks_.back().get();
    left_ = size;
    held_bytes_ += size;
  }

  std::vector<std::unique_ptr<std::uint8_t[]>> blocks_;
  std::uint8_t* at_ = nullptr;
  std::size_t left_ = 0;
  std::size_t held_bytes_ = 0;
};

class ByteLog {
 public:
  void append(BlockPool& pool, Bytes bytes) {
    size_ += bytes.size();
    ++items_;
    if (last_ != nullptr && bytes.size() <= last_->capacity - last_->size) {
      std::memcpy(last_->bytes() + last_->size, bytes.data(), bytes.size());
      last_->size += static_cast<std::uint32_t>(bytes.size());
      return;
    }
    append_across(pool, bytes);
  }

  std::uint64_t size() const { return size_; }
  std::uint64_t items() const { return items_; }

  // Calls `visit(Bytes)` for each piece, in order.
  template <class Visit>
  void visit(Visit visit) const {
    for (const Chunk* chunk = first_; chunk != nullptr; chunk = chunk->next) {
      visit(Bytes(chunk->bytes(), chunk->size));
    }
  }

 private:
  struct Chunk {
    Chunk* next;
    std::uint32_t size;
    std::uint32_t capacity;
    std::uint8_t* bytes() { return reinterpret_cast<std::uint8_t*>(this + 1); }
    const std::uint8_t* bytes() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
  };

  void append_across(BlockPool& pool, Bytes bytes) {
    while (!bytes.empty()) {
      if (last_ == nullptr || last_->size == last_->capacity) add_chunk(pool, bytes.size());
      const std::size_t part = std::min<std::size_t>(bytes.size(), last_->capacity - last_->size);
      std::memcpy(last_->bytes() + last_->size, bytes.data(), part);
      last_->size += static_cast<std::uint32_t>(part);
      bytes = bytes.subspan(part);
    }
  }

  // A quarter more at a time: the unfilled end of a log is a fifth of it at most.
  void add_chunk(BlockPool& pool, std::size_t wanted) {
    const std::size_t capacity =
        std::clamp<std::size_t>(std::max<std::size_t>(wanted, size_ / 4), 16, std::size_t{64} << 10);
    auto* chunk = reinterpret_cast<Chunk*>(pool.take(sizeof(Chunk) + capacity));
    *chunk = {nullptr, 0, static_cast<std::uint32_t>(capacity)};
    (last_ == nullptr ? first_ : last_->next) = chunk;
    last_ = chunk;
  }

  Chunk* first_ = nullptr;
  Chunk* last_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t items_ = 0;
};

}  // namespace esker::objects
