"""Threads sort references to the rows of a morsel by partition, and claim space for all partitions at once."""

from __future__ import annotations

from typing import ClassVar

from esker.shuffle.native import NativeStrategy


class Hybrid(NativeStrategy):
    """Source 002, 3.6.3, ad-hoc radix.

    A value is copied once, from the input to the page; each row is read twice. Good for wide rows. Time O(rows x
    columns); memory: pages, plus 18 bytes a row of a morsel (64 Ki rows at most) a thread.
    """

    name: ClassVar[str] = "hybrid"
    ordered: ClassVar[bool] = True
