// Memory that grows without being cleared first: results of operations are written once, from end to end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "esker/bitmap/block_pool.h"

namespace esker::bitmap {

template <class Item>
class Buffer {
  static_assert(std::is_trivially_copyable_v<Item>);

 public:
  // Readable bytes behind the last item, of any value: decoders load sixteen at a time.
  static constexpr std::size_t kSlackBytes = 16;

  Buffer() = default;
  explicit Buffer(std::size_t size) {
    reserve(size);
    size_ = size;
  }
  explicit Buffer(std::span<const Item> items) : Buffer(items.size()) {
    if (size_ != 0) std::memcpy(items_, items.data(), items.size_bytes());
  }
  Buffer(Buffer&& other) noexcept
      : items_(std::exchange(other.items_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(items_, other.items_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(items_, capacity_bytes()); }

  Item* data() { return items_; }
  const Item* data() const { return items_; }
  std::size_t size() const { return size_; }
  std::size_t capacity_bytes() const {
    return items_ == nullptr ? 0 : capacity_ * sizeof(Item) + kSlackBytes;
  }
  bool empty() const { return size_ == 0; }
  Item& back() { return items_[size_ - 1]; }
  std::span<const Item> span() const { return {items_, size_}; }

  void push(Item item) {
    if (size_ == capacity_) grow(size_ + 1);
    items_[size_++] = item;
  }

  void append(const Item* from, std::size_t count) {
    if (capacity_ - size_ < count) grow(size_ + count);
    if (count != 0) std::memcpy(items_ + size_, from, count * sizeof(Item));
    size_ += count;
  }

  void reserve(std::size_t capacity) {
    if (capacity > capacity_) reallocate(capacity);
  }

  void resize(std::size_t size) {
    reserve(size);
    size_ = size;
  }

  // Gives back what is more than an eighth too much.
  void trim() {
    const std::size_t spare = (capacity_ - size_) * sizeof(Item);
    if (spare > size_ * sizeof(Item) / 8 + 128 &&
        pooled_size(capacity_bytes()) != pooled_size(capacity_bytes() - spare))
      return reallocate(size_);
    if (capacity_bytes() < kPooledBytes && spare > size_ * sizeof(Item) / 8 + 128) reallocate(size_);
  }

  // The same memory as bytes.
  Buffer<std::uint8_t> bytes() && {
    return Buffer<std::uint8_t>(reinterpret_cast<std::uint8_t*>(std::exchange(items_, nullptr)),
                                std::exchange(size_, 0) * sizeof(Item),
                                std::exchange(capacity_, 0) * sizeof(Item));
  }

 private:
  template <class Other>
  friend class Buffer;
  Buffer(Item* items, std::size_t size, std::size_t capacity)
      : items_(items), size_(size), capacity_(capacity) {}

  void grow(std::size_t least) { reallocate(std::max<std::size_t>({least, capacity_ + capacity_ / 2, 8})); }

  void reallocate(std::size_t capacity) {
    if (capacity > (SIZE_MAX - kSlackBytes - kPooledBytes) / sizeof(Item)) throw std::bad_alloc();
    std::size_t bytes = capacity * sizeof(Item) + kSlackBytes;
    if (std::max(bytes, capacity_bytes()) < kPooledBytes) {
      void* const moved = std::realloc(items_, bytes);
      if (moved == nullptr) throw std::bad_alloc();
      items_ = static_cast<Item*>(moved);
      capacity_ = capacity;
      return;
    }
    if (bytes >= kPooledBytes) {
      bytes = pooled_size(bytes);
      capacity = (bytes - kSlackBytes) / sizeof(Item);
    }
    void* const moved = bytes >= kPooledBytes ? take_block(bytes) : std::malloc(bytes);
    if (moved == nullptr) throw std::bad_alloc();
    if (size_ != 0) std::memcpy(moved, items_, size_ * sizeof(Item));
    release(items_, capacity_bytes());
    items_ = static_cast<Item*>(moved);
    capacity_ = capacity;
  }

  static void release(void* items, std::size_t bytes) noexcept {
    if (items == nullptr) return;
    if (bytes >= kPooledBytes) {
      give_block(items, bytes);
    } else {
      std::free(items);
    }
  }

  Item* items_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

using Bytes = Buffer<std::uint8_t>;

}  // namespace esker::bitmap
