"""Buffers go to pages of the thread's own; part-filled pages are merged at the end."""

from __future__ import annotations

from typing import ClassVar

from esker.shuffle.native import NativeStrategy


class ThreadLocalMerge(NativeStrategy):
    """Source 002, 3.7. No claim is shared. Rows of the emptiest pages go to the fullest, taken from their end.

    Time O(rows x columns), plus what the merge moves: at most the part-filled pages. Memory: pages, up to one
    part-filled page a partition and thread until the merge, plus `buffer_bytes` a thread.
    """

    name: ClassVar[str] = "thread_local_merge"
    ordered: ClassVar[bool] = False
