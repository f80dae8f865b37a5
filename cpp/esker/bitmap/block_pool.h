// Large blocks of memory that were given back, kept warm for the next who needs one.
//
// A fresh block of the system's is faulted in page by page, which costs more than an OR of ten vectors into
// it: the C library gives blocks of 128 KiB and more back at once.
#pragma once

#include <cstddef>

namespace esker::bitmap {

// Blocks from here on are kept; their sizes are multiples of it.
inline constexpr std::size_t kPooledBytes = std::size_t{64} << 10;

constexpr std::size_t pooled_size(std::size_t bytes) {
  return (bytes + kPooledBytes - 1) / kPooledBytes * kPooledBytes;
}

// A block of pooled_size(bytes), or std::bad_alloc. Any thread.
void* take_block(std::size_t bytes);
void give_block(void* block, std::size_t bytes) noexcept;

// Gives all that is kept to the system; at most 32 MiB are ever kept.
void release_blocks() noexcept;

}  // namespace esker::bitmap
