"""The numbers of a column index's vectors, as the source of distributed bitmap engines counts them: v0, v1, ..."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from esker.bitmap import Bitmap, union
from esker.errors import InputError
from esker.index.segment import ReadCount, Segment, SegmentFile
from esker.index.slots import FIRST_SLOT


class VectorNumbers:
    """Numbers the values or bins of each column in ascending order, one column after the other; null and NaN have none.

    Of the census: v0 to v3 are the bins of salary, v4 to v7 those of age (source 004, Tables 2 and 3).
    """

    def __init__(self, segments: Mapping[str, SegmentFile]) -> None:
        self._segments = [segment for segment in segments.values() if isinstance(segment, Segment)]
        counts = [segment.slot_count - FIRST_SLOT for segment in self._segments]
        self._starts = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))

    @property
    def count(self) -> int:
        """How many vectors have a number."""
        return int(self._starts[-1])

    def union(self, first: int, last: int, count: ReadCount) -> Bitmap:
        """OR vectors `first` to `last`, both included; InputError names one that is not there."""
        if not 0 <= first <= last < self.count:
            raise InputError(f"vectors [{first},{last}] are not all there: the index has v0 to v{self.count - 1}")
        parts = []
        for segment, start in zip(self._segments, self._starts.tolist(), strict=False):
            slots = np.zeros(segment.slot_count, bool)
            slots[FIRST_SLOT + max(first - start, 0) : FIRST_SLOT + max(last + 1 - start, 0)] = True
            if slots.any():
                parts.append(segment.union(slots, count))
        return union(parts)
