// Lets one thread at a time claim space: in the order of the morsels, or as they come.
//
// A thread enters, claims, leaves, writes what it claimed, and says so. Only the claim is inside.
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
    const auto may_enter = [&] { return failed_ || (!inside_ && (!ordered_ || turn_ == morsel)); };
    if (!may_enter()) {
      ++wait_count_;
      changed_.wait(lock, may_enter);
    }
    if (failed_) return false;
    inside_ = true;
    return true;
  }

  // Lets the next one in; the caller now writes.
  void leave() {
    {
      const std::lock_guard lock(mutex_);
      inside_ = false;
      ++turn_;
      ++writer_count_;
    }
    changed_.notify_all();
  }

  void written() {
    const std::lock_guard lock(mutex_);
    if (--writer_count_ == 0) changed_.notify_all();
  }

  // From inside: waits until everything claimed before is written. False: another thread failed.
  bool wait_until_written() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return failed_ || writer_count_ == 0; });
    return !failed_;
  }

  void fail() {
    {
      const std::lock_guard lock(mutex_);
      failed_ = true;
    }
    changed_.notify_all();
  }

  bool failed() const {
    const std::lock_guard lock(mutex_);
    return failed_;
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
  std::uint64_t writer_count_ = 0;
  std::uint64_t wait_count_ = 0;
  bool inside_ = false;
  bool failed_ = false;
};

}  // namespace esker::shuffle
