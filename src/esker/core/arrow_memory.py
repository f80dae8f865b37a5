"""Which allocator Arrow uses, so that memory that was freed is given back (contracts, 1).

`import esker` asks for jemalloc in ARROW_DEFAULT_MEMORY_POOL, which Arrow reads once, when pyarrow is first imported; a
choice of the user stands. Batches are made in one thread and freed in another, which jemalloc gives back soonest:
`python -m benchmarks.allocators` printed, for a scan in two threads, 12 MiB over idle against 57 MiB with Arrow's own
default (mimalloc, in 0.76 of the time) and 42 MiB with malloc.
"""

from __future__ import annotations

import os
from functools import cache

import pyarrow as pa


@cache
def settle_allocator() -> str:
    """Make jemalloc the allocator of pyarrow's own calls, unless the user chose one; returns the one in use.

    For a process that imported pyarrow before Esker: what C++ reads by itself, Parquet above all, stays with Arrow's
    default there, and takes more.
    """
    if not os.environ.get("ARROW_DEFAULT_MEMORY_POOL") and "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    return str(pa.default_memory_pool().backend_name)
