"""Which allocator Arrow uses, so that memory that was freed is given back (contracts, 1)."""

from __future__ import annotations

import os
from functools import cache

import pyarrow as pa


@cache
def settle_allocator() -> str:
    """Make jemalloc Arrow's allocator in this process, unless the user chose one; returns the one in use.

    Called for a query that is given `memory=`. Batches are made in one thread and freed in another, which jemalloc
    gives back soonest: `python -m benchmarks.allocators` printed, for a scan in two threads, 12 MiB over idle against
    57 MiB with Arrow's default (mimalloc, in 0.76 of the time) and 42 MiB with malloc. A build of Arrow without
    jemalloc keeps its default, and so does ARROW_DEFAULT_MEMORY_POOL.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ and "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    return str(pa.default_memory_pool().backend_name)
