"""All threads sort one morsel, then each writes the rows of a range of partitions."""

from __future__ import annotations

from typing import ClassVar

from esker.shuffle.native import NativeStrategy


class CollaborativeUnits(NativeStrategy):
    """Source 002, 3.8.3, which has a title and no text; see decision 0005.

    A partition has one processing unit, so its pages are written without a lock and in the order of the input; a
    partition with most of the rows keeps one thread busy and the others idle. Time O(rows x columns) with two meetings
    a morsel; memory as hybrid.
    """

    name: ClassVar[str] = "collaborative_units"
    ordered: ClassVar[bool] = True
