"""Each row goes to its page as soon as its partition is known: the simplest way, and the slowest."""

from __future__ import annotations

from typing import ClassVar

from esker.shuffle.native import NativeStrategy


class OnDemand(NativeStrategy):
    """Source 002, 3.4: one claim a row. Page managers: locked, locked_batches, lock_free.

    Time O(rows) with a lock or an exchange each: two threads that meet at few partitions are slower than one. Memory:
    pages alone.
    """

    name: ClassVar[str] = "on_demand"
    ordered: ClassVar[bool] = False
