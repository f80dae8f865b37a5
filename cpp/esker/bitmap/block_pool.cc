#include "esker/bitmap/block_pool.h"

#include <array>
#include <cstdlib>
#include <mutex>
#include <new>

namespace esker::bitmap {
namespace {

constexpr std::size_t kKeptBytesMax = std::size_t{32} << 20;
constexpr std::size_t kBlocksMax = 32;

struct Block {
  void* memory;
  std::size_t bytes;
};

struct Pool {
  std::mutex mutex;
  std::array<Block, kBlocksMax> blocks;
  std::size_t count = 0;
  std::size_t bytes = 0;
};

// Never destroyed: vectors may outlive everything.
Pool& pool() {
  static Pool& shared = *new Pool;
  return shared;
}

}  // namespace

void* take_block(std::size_t bytes) {
  const std::size_t wanted = pooled_size(bytes);
  {
    Pool& shared = pool();
    const std::lock_guard locked(shared.mutex);
    for (std::size_t i = shared.count; i-- != 0;) {
      if (shared.blocks[i].bytes != wanted) continue;
      void* const found = shared.blocks[i].memory;
      shared.blocks[i] = shared.blocks[--shared.count];
      shared.bytes -= wanted;
      return found;
    }
  }
  void* const fresh = std::malloc(wanted);
  if (fresh == nullptr) throw std::bad_alloc();
  return fresh;
}

void give_block(void* block, std::size_t bytes) noexcept {
  const std::size_t size = pooled_size(bytes);
  {
    Pool& shared = pool();
    const std::lock_guard locked(shared.mutex);
    if (shared.count < kBlocksMax && shared.bytes + size <= kKeptBytesMax) {
      shared.blocks[shared.count++] = {block, size};
      shared.bytes += size;
      return;
    }
  }
  std::free(block);
}

void release_blocks() noexcept {
  Pool& shared = pool();
  const std::lock_guard locked(shared.mutex);
  while (shared.count != 0) std::free(shared.blocks[--shared.count].memory);
  shared.bytes = 0;
}

}  // namespace esker::bitmap
