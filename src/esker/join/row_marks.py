"""Which rows of a store were seen: one bit a row, however scattered they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from esker.core.row_set import RowSet

# Bytes of marks turned into runs at a time.
_BLOCK_BYTES = 1 << 20
_WORD_BITS = 64
# Rows further apart than this are searched for: a bit for each row between them would take as much as their ids.
_SPARSE_MAX = 64


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
            bits = self._bits[first : first + _BLOCK_BYTES]
            # As truths, which NumPy compares and counts several times as fast as it does bytes.
            marked = np.zeros(8 * len(bits) + 2, np.bool_)
            marked[1:-1] = np.unpackbits(bits, bitorder="little")
            edges = np.flatnonzero(marked[1:] != marked[:-1]).astype(np.uint64) + np.uint64(8 * first)
            starts.append(edges[0::2])
            stops.append(edges[1::2])
        if not starts:
            return RowSet.empty()
        return RowSet.from_runs(np.concatenate(starts), np.concatenate(stops))


class RowPlaces:
    """Where row ids lie in an ascending array of them, which may be long and is asked in any order.

    >>> RowPlaces(np.array([3, 9, 10, 300], np.uint64)).of(np.array([10, 3, 300], np.uint64)).tolist()
    [2, 0, 3]
    """

    def __init__(self, row_ids: npt.NDArray[np.uint64]) -> None:
        self._ids = row_ids
        self._first = row_ids[0] if len(row_ids) else np.uint64(0)
        span = int(row_ids[-1] - self._first) + 1 if len(row_ids) else 0
        self._together = span == len(row_ids)
        self._words: npt.NDArray[np.uint64] | None = None
        if not self._together and span <= _SPARSE_MAX * len(row_ids):
            bits = np.zeros(span // _WORD_BITS * 8 + 8, np.uint8)
            own = row_ids - self._first
            np.bitwise_or.at(bits, own >> np.uint64(3), np.left_shift(1, own & np.uint64(7)).astype(np.uint8))
            self._words = bits.view(np.uint64)
            counts = np.bitwise_count(self._words).astype(np.int64)
            self._before = np.cumsum(counts) - counts

    def of(self, row_ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Say where `row_ids` lie, which are all there."""
        if self._words is None and not self._together:
            return np.searchsorted(self._ids, row_ids)
        own = row_ids - self._first
        if self._words is None:
            return own.astype(np.int64)
        word = own >> np.uint64(6)
        below = (np.uint64(1) << (own & np.uint64(_WORD_BITS - 1))) - np.uint64(1)
        places: npt.NDArray[np.int64] = self._before[word] + np.bitwise_count(self._words[word] & below)
        return places
