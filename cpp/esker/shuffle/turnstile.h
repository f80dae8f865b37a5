// Lets one thread at a time claim space, in the order of the morsels.
//
// A thread enters, claims, leaves, and then writes what it claimed. Only the claim is inside.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace esker::shuffle {

class Turnstile {
 public:
  explicit Turnstile(bool ordered) : ordered_(ordered) {}

  // Waits for the turn of `morsel`. False: another thread failed, and there is nothing to be done.
  bool enter(std::uint64_t morsel) {
    std::unique_lock lock(mutex_);
    const auto may_enter = [&] { return failed_ || !ordered_ || turn_ == morsel; };
    if (!may_enter()) {
      ++wait_count_;
      changed_.wait(lock, may_enter);
    }
    return !failed_;
  }

  // Lets the next one in; the caller now writes.
  void leave() {
    {
      const std::lock_guard lock(mutex_);
      ++turn_;
    }
    changed_.notify_all();
  }

  void fail() {
    {
      const std::lock_guard lock(mutex_);
      failed_ = true;
    }
    changed_.notify_all();
  }

  // Morsels are numbered from 0 again; nobody may be inside.
  void restart() {
    const std::lock_guard lock(mutex_);
    turn_ = 0;
  }

  std::uint64_t wait_count() const {
    const std::lock_guard lock(mutex_);
    return wait_count_;
  }

 private:
  const bool ordered_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t turn_ = 0;
  std::uint64_t wait_count_ = 0;
  bool failed_ = false;
};

}  // namespace esker::shuffle
