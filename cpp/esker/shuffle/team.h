// The threads of a shuffle at work together.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <vector>

#include "esker/shuffle/context.h"
#include "esker/shuffle/turnstile.h"

namespace esker::shuffle {

// Where all threads of a step wait until everybody has come.
class Meeting {
 public:
  explicit Meeting(std::uint32_t thread_count) : thread_count_(thread_count) {}

  // Throws Abandoned when another thread failed on its way.
  void wait(const Context& context) {
    const std::uint32_t turn = turn_.load(std::memory_order_relaxed);
    if (come_.fetch_add(1, std::memory_order_acq_rel) + 1 == thread_count_) {
      come_.store(0, std::memory_order_relaxed);
      turn_.store(turn + 1, std::memory_order_release);
      return;
    }
    Backoff backoff;
    while (turn_.load(std::memory_order_acquire) == turn) {
      context.check();
      backoff.wait();
    }
  }

 private:
  const std::uint32_t thread_count_;
  std::atomic<std::uint32_t> come_{0};
  std::atomic<std::uint32_t> turn_{0};
};

// Runs `work` for each of `workers`, the first in the calling thread; rethrows the first error that is not
// Abandoned. When `all_at_once`, a thread that cannot be started is an error; else the others do its work.
void run_team(Context& context, std::vector<Worker>& workers, std::uint32_t thread_count,
              Turnstile* turnstile, const std::function<void(Worker&)>& work, bool all_at_once = false);

}  // namespace esker::shuffle
