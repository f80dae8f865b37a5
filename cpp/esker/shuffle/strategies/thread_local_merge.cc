#include "esker/shuffle/strategies/thread_local_merge.h"

#include "esker/shuffle/strategies/entries.h"

namespace esker::shuffle {

std::span<const Entry> thread_local_merge() {
  static constexpr Entry all[] = {
      {{"thread_local_merge", "thread_local", false, 1}, &make<ThreadLocalMerge>},
  };
  return all;
}

}  // namespace esker::shuffle
