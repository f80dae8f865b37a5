#include "esker/shuffle/team.h"

#include <mutex>
#include <system_error>
#include <thread>

namespace esker::shuffle {
namespace {

class FirstError {
 public:
  void keep(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
  }
  void rethrow() {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace

void run_team(Context& context, std::vector<Worker>& workers, std::uint32_t thread_count,
              Turnstile* turnstile, const std::function<void(Worker&)>& work, bool all_at_once) {
  FirstError first;
  const auto guarded = [&](Worker& worker) {
    try {
      work(worker);
      worker.publish_all();
    } catch (const Abandoned&) {
    } catch (...) {
      first.keep(std::current_exception());
      context.store.abandon();
      if (turnstile != nullptr) turnstile->fail();
    }
  };
  std::vector<std::thread> threads;
  const auto abandon = [&first, &context] {
    first.keep(std::current_exception());
    context.store.abandon();
  };
  try {
    threads.reserve(thread_count);
    for (std::uint32_t i = 1; i < thread_count; ++i)
      threads.emplace_back([&guarded, &workers, i] { guarded(workers[i]); });
  } catch (const std::system_error&) {
    // The machine gives no more threads: those there are do the work, if it can be done by fewer.
    if (all_at_once) abandon();
  } catch (...) {
    // No memory for one more; those that run must be joined all the same.
    abandon();
  }
  if (!context.store.abandoned()) guarded(workers[0]);
  for (std::thread& thread : threads) thread.join();
  first.rethrow();
  context.check();
}

}  // namespace esker::shuffle
