"""All threads count, then all pages are allocated, then all threads write."""

from __future__ import annotations

from typing import ClassVar

from esker.shuffle.native import NativeStrategy


class Radix(NativeStrategy):
    """Source 002, 3.6.2, in rounds of some morsels a thread, so that the input need not be there as a whole.

    Each row is read twice. Time O(rows x columns) with three meetings a round; memory: pages, plus 72 bytes a row of a
    round.
    """

    name: ClassVar[str] = "radix"
    ordered: ClassVar[bool] = True
