// Thread-local pages and merge (source 002, 3.7): buffers go to pages of the thread's own, without any
// sharing; at the end the threads merge what was left part-filled, each some partitions.
#pragma once

#include "esker/shuffle/page_managers/thread_local.h"
#include "esker/shuffle/strategies/software_managed_buffers.h"

namespace esker::shuffle {

using ThreadLocalMerge = SoftwareManagedBuffers<ThreadLocalPages>;

}  // namespace esker::shuffle
