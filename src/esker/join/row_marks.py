"""Which rows of a store were seen: one bit a row, however scattered they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from esker.core.row_set import RowSet

# Bytes of marks turned into runs at a time.
_BLOCK_BYTES = 1 << 20


class RowMarks:
    """Row ids of a store of `row_count` rows, marked in any order.

    >>> marks = RowMarks(20)
    >>> marks.add(np.array([9, 3, 10, 3], np.uint64))
    >>> marks.to_row_set().to_numpy().tolist()
    [3, 9, 10]
    """

    def __init__(self, row_count: int) -> None:
        self._bits = np.zeros(-(-row_count // 8), np.uint8)

    @property
    def nbytes(self) -> int:
        """Bytes of memory the marks take."""
        return self._bits.nbytes

    def add(self, row_ids: npt.NDArray[np.uint64]) -> None:
        """Mark each of `row_ids`."""
        np.bitwise_or.at(self._bits, row_ids >> np.uint64(3), np.left_shift(1, row_ids & np.uint64(7)).astype(np.uint8))

    def contains_each(self, row_ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Say of each of `row_ids` whether it is marked."""
        bits = self._bits[row_ids >> np.uint64(3)] >> (row_ids & np.uint64(7)).astype(np.uint8)
        marked: npt.NDArray[np.bool_] = (bits & 1).astype(np.bool_)
        return marked

    def to_row_set(self) -> RowSet:
        """The marked rows."""
        starts, stops = [], []
        for first in range(0, len(self._bits), _BLOCK_BYTES):
            flags = np.unpackbits(self._bits[first : first + _BLOCK_BYTES], bitorder="little")
            edges = np.flatnonzero(np.diff(flags, prepend=0, append=0)).astype(np.uint64) + np.uint64(8 * first)
            starts.append(edges[0::2])
            stops.append(edges[1::2])
        if not starts:
            return RowSet.empty()
        return RowSet.from_runs(np.concatenate(starts), np.concatenate(stops))
