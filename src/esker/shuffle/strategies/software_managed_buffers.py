"""Threads collect the rows of each partition in buffers of their own, and claim space for a whole buffer."""

from __future__ import annotations

from typing import ClassVar

from esker.shuffle.native import NativeStrategy


class SoftwareManagedBuffers(NativeStrategy):
    """Source 002, 3.5. Page managers: locked_batches (the lock is held for the claim alone), locked, lock_free.

    Values are copied twice, into a buffer that stays in the cache and from there past it to the page. With several
    threads, ordered, buffers are emptied at the end of each morsel in the order of the input. Time O(rows x columns);
    memory: pages, plus `buffer_bytes` a thread.
    """

    name: ClassVar[str] = "software_managed_buffers"
    ordered: ClassVar[bool] = True
