// A lock for each list of pages, short enough to spin on.
//
// Padded, each lies on a cache line of its own: else a thread that takes one lock takes the line of its
// neighbours' away from whoever holds them (source 002, 3.3.5).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

namespace esker::shuffle {

// Waits a moment; after some turns lets others run, since with more threads than cores the one waited for may
// sleep.
class Backoff {
 public:
  void wait() {
    if (++turns_ % kTurns == 0) {
      std::this_thread::yield();
      return;
    }
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_ia32_pause();
#endif
  }

 private:
  static constexpr std::uint32_t kTurns = 64;
  std::uint32_t turns_ = 0;
};

class Locks {
 public:
  Locks(std::size_t count, bool padded)
      : stride_(padded ? kLineBytes / sizeof(Word) : 1),
        words_(std::make_unique<Word[]>(count * stride_ + kLineBytes / sizeof(Word))),
        first_((kLineBytes - reinterpret_cast<std::uintptr_t>(words_.get()) % kLineBytes) % kLineBytes /
               sizeof(Word)) {}

  void lock(std::size_t index) {
    Word& word = words_[first_ + index * stride_];
    if (word.exchange(1, std::memory_order_acquire) == 0) return;
    wait_count_.fetch_add(1, std::memory_order_relaxed);
    Backoff backoff;
    do {
      while (word.load(std::memory_order_relaxed) != 0) backoff.wait();
    } while (word.exchange(1, std::memory_order_acquire) != 0);
  }

  void unlock(std::size_t index) { words_[first_ + index * stride_].store(0, std::memory_order_release); }

  // How often somebody had to wait.
  std::uint64_t wait_count() const { return wait_count_.load(std::memory_order_relaxed); }

 private:
  using Word = std::atomic<std::uint32_t>;
  static constexpr std::size_t kLineBytes = 64;

  std::size_t stride_;
  std::unique_ptr<Word[]> words_;
  std::size_t first_;
  std::atomic<std::uint64_t> wait_count_{0};
};

class LockGuard {
 public:
  LockGuard(Locks& locks, std::size_t index) : locks_(locks), index_(index) { locks_.lock(index_); }
  ~LockGuard() { locks_.unlock(index_); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Locks& locks_;
  std::size_t index_;
};

}  // namespace esker::shuffle
