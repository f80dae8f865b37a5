"""A set of row ids: the currency between deciding (index, join) and fetching (thaw)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from esker.errors import BitmapCorruptError, InputError

Rows = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

# Row ids stay below 2^63, so that signed libraries (Arrow, SQLite) can hold them and `stop` never overflows.
ROW_ID_STOP = 1 << 63

# magic and version | runs | rows | bytes per gap | bytes per length | 0 | CRC-32 of all else; then gaps, then lengths.
_HEADER = struct.Struct("<8sQQBBHI")
_MAGIC = b"ESKROWS1"
_WIDTHS = (1, 2, 4, 8)


class RowSet:
    """An immutable set of 64-bit row ids, held as sorted runs that neither overlap nor touch.

    >>> rows = RowSet.of([7, 3, 4, 5]) | RowSet.range(5, 10)
    >>> rows, len(rows), 6 in rows, rows.rank(5), rows.select(2)
    (RowSet(7 rows in 1 run, 3 to 9), 7, True, 2, 5)
    >>> [chunk.tolist() for chunk in (rows - RowSet.of([4])).chunks(4)]
    [[3, 5, 6, 7], [8, 9]]

    Takes 16 bytes a run: a whole table is one run, scattered rows are one run each. Safe to share between threads.
    """

    __slots__ = ("_ranks", "_starts", "_stops")

    def __init__(self, starts: Rows, stops: Rows) -> None:
        """Hold runs that are sorted, disjoint and not adjacent; use the class methods for anything else."""
        lengths = stops - starts
        self._starts = starts
        self._stops = stops
        # _ranks[i] is the number of rows before run i; the last entry is the number of rows.
        self._ranks = np.zeros(len(starts) + 1, np.uint64)
        np.cumsum(lengths, out=self._ranks[1:])
        for array in (self._starts, self._stops, self._ranks):
            array.flags.writeable = False

    @classmethod
    def empty(cls) -> RowSet:
        """Make the set without rows."""
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.uint64))

    @classmethod
    def range(cls, start: int, stop: int) -> RowSet:
        """Make the set of rows `start` to `stop` (exclusive)."""
        return cls.from_runs([start], [stop])

    @classmethod
    def of(cls, positions: npt.ArrayLike | Iterable[int]) -> RowSet:
        """Make a set of row ids in any order; repeated ones count once."""
        rows = row_ids(positions)
        if not bool(np.all(rows[1:] > rows[:-1])):
            rows = np.unique(rows)
        if not len(rows):
            return cls.empty()
        breaks = np.flatnonzero(rows[1:] - rows[:-1] != 1)
        starts = rows[np.concatenate(([0], breaks + 1))]
        stops = rows[np.concatenate((breaks, [len(rows) - 1]))] + np.uint64(1)
        return cls(starts, stops)

    @classmethod
    def from_runs(cls, starts: npt.ArrayLike | Iterable[int], stops: npt.ArrayLike | Iterable[int]) -> RowSet:
        """Make the union of runs `starts[i]` to `stops[i]` (exclusive), in any order, overlapping or empty."""
        first, past = row_ids(starts, ROW_ID_STOP), row_ids(stops, ROW_ID_STOP)
        if len(first) != len(past):
            raise InputError(f"runs need as many starts as stops, not {len(first)} and {len(past)}")
        filled = past > first
        if not filled.all():
            first, past = first[filled], past[filled]
        if not len(first):
            return cls.empty()
        if not bool(np.all(first[1:] >= first[:-1])):
            order = np.argsort(first, kind="stable")
            first, past = first[order], past[order]
        reached = np.maximum.accumulate(past)
        apart = np.flatnonzero(first[1:] > reached[:-1])
        return cls(first[np.concatenate(([0], apart + 1))], reached[np.concatenate((apart, [len(first) - 1]))])

    def __len__(self) -> int:
        return int(self._ranks[-1])

    def __bool__(self) -> bool:
        return len(self._starts) > 0

    def __contains__(self, row: object) -> bool:
        if not isinstance(row, (int, np.integer)) or not 0 <= row < ROW_ID_STOP:
            return False
        return bool(self.contains_each(np.array([row], np.uint64))[0])

    def contains_each(self, rows: npt.ArrayLike) -> Flags:
        """Say of each row id whether it is in the set."""
        return _inside(self, row_ids(rows))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RowSet):
            return NotImplemented
        return np.array_equal(self._starts, other._starts) and np.array_equal(self._stops, other._stops)

    __hash__ = None  # type: ignore[assignment]  # compared by content, of any size: not a key

    def __repr__(self) -> str:
        if not self:
            return "RowSet(no rows)"
        runs = len(self._starts)
        words = f"{len(self):,} rows in {runs:,} run{'s' if runs > 1 else ''}"
        return f"RowSet({words}, {self._starts[0]} to {self._stops[-1] - np.uint64(1)})"

    def __and__(self, other: RowSet) -> RowSet:
        return _combine(self, other, np.logical_and)

    def __or__(self, other: RowSet) -> RowSet:
        return _combine(self, other, np.logical_or)

    def __xor__(self, other: RowSet) -> RowSet:
        return _combine(self, other, np.logical_xor)

    def __sub__(self, other: RowSet) -> RowSet:
        return _combine(self, other, np.greater)

    def complement(self, row_count: int) -> RowSet:
        """Give the rows from 0 to `row_count` that are not in the set."""
        return RowSet.range(0, row_count) - self

    def runs(self) -> tuple[Rows, Rows]:
        """Give the runs as two read-only arrays, starts and (exclusive) stops."""
        return self._starts, self._stops

    def chunks(self, size: int) -> Iterator[Rows]:
        """Yield all row ids, ascending, in arrays of `size` (the last may be shorter)."""
        if size < 1:
            raise InputError(f"chunks need a size of at least 1, not {size}")
        for rank in range(0, len(self), size):
            yield self.between_ranks(rank, min(rank + size, len(self)))

    def to_numpy(self) -> Rows:
        """Give all row ids, ascending: eight bytes for each row, so prefer `chunks` for big sets."""
        return self.between_ranks(0, len(self))

    def rank(self, row: int) -> int:
        """Count the rows of the set below `row`."""
        if row <= 0:
            return 0
        row = min(row, ROW_ID_STOP)
        run = int(np.searchsorted(self._starts, np.uint64(row), "left")) - 1
        if run < 0:
            return 0
        return int(self._ranks[run]) + min(row, int(self._stops[run])) - int(self._starts[run])

    def select(self, k: int) -> int:
        """Give the row id that has `k` smaller ones in the set."""
        if not 0 <= k < len(self):
            raise InputError(f"no row number {k} in a set of {len(self)} rows")
        run = int(np.searchsorted(self._ranks, np.uint64(k), "right")) - 1
        return int(self._starts[run]) + k - int(self._ranks[run])

    def slice(self, start_row: int, stop_row: int) -> RowSet:
        """Give the rows of the set from `start_row` to `stop_row` (exclusive)."""
        start_row, stop_row = max(start_row, 0), min(stop_row, ROW_ID_STOP)
        if start_row >= stop_row:
            return RowSet.empty()
        first = int(np.searchsorted(self._stops, np.uint64(start_row), "right"))
        last = int(np.searchsorted(self._starts, np.uint64(stop_row), "left"))
        starts = np.maximum(self._starts[first:last], np.uint64(start_row))
        return RowSet(starts, np.minimum(self._stops[first:last], np.uint64(stop_row)))

    @property
    def nbytes(self) -> int:
        """Bytes of memory the runs take."""
        return self._starts.nbytes + self._stops.nbytes + self._ranks.nbytes

    def serialize(self) -> bytes:
        """Write the set as bytes; equal sets give equal bytes."""
        gaps = self._starts.copy()
        gaps[1:] -= self._stops[:-1]
        packed = [_pack(gaps), _pack(self._stops - self._starts)]
        head = (_MAGIC, len(gaps), len(self), packed[0][0], packed[1][0], 0)
        body = packed[0][1] + packed[1][1]
        return _HEADER.pack(*head, zlib.crc32(body, zlib.crc32(_HEADER.pack(*head, 0)))) + body

    @classmethod
    def deserialize(cls, data: bytes | memoryview, place: str = "row set") -> RowSet:
        """Read what `serialize` wrote; raises BitmapCorruptError, naming `place`, for any other bytes."""
        view = memoryview(data)
        if len(view) < _HEADER.size:
            raise BitmapCorruptError(f"{place}: {len(view)} bytes are too few for a row set")
        magic, run_count, row_count, gap_bytes, length_bytes, reserved, checksum = _HEADER.unpack_from(view)
        if magic != _MAGIC or reserved or gap_bytes not in _WIDTHS or length_bytes not in _WIDTHS:
            raise BitmapCorruptError(f"{place}: not a row set of version 1")
        if len(view) != _HEADER.size + run_count * (gap_bytes + length_bytes):
            raise BitmapCorruptError(f"{place}: {len(view)} bytes do not fit {run_count} runs")
        body = view[_HEADER.size :]
        head = _HEADER.pack(magic, run_count, row_count, gap_bytes, length_bytes, 0, 0)
        if zlib.crc32(body, zlib.crc32(head)) != checksum:
            raise BitmapCorruptError(f"{place}: the checksum is wrong")
        steps = np.empty(2 * run_count, np.uint64)
        steps[0::2] = np.frombuffer(body[: run_count * gap_bytes], f"<u{gap_bytes}")
        steps[1::2] = np.frombuffer(body[run_count * gap_bytes :], f"<u{length_bytes}")
        edges = np.cumsum(steps, dtype=np.uint64)
        # A run or gap of no rows, or a sum that wraps, shows as an edge that does not grow.
        if not bool(np.all(edges[1:] > edges[:-1])) or (run_count and int(edges[-1]) > ROW_ID_STOP):
            raise BitmapCorruptError(f"{place}: runs overlap, touch or leave the range of row ids")
        rows = cls(edges[0::2].copy(), edges[1::2].copy())
        if len(rows) != row_count:
            raise BitmapCorruptError(f"{place}: holds {len(rows)} rows, its header says {row_count}")
        return rows

    def between_ranks(self, start: int, stop: int) -> Rows:
        """Give the ids of the rows numbered `start` to `stop` of the set."""
        first = max(int(np.searchsorted(self._ranks, np.uint64(start), "right")) - 1, 0)
        last = int(np.searchsorted(self._ranks, np.uint64(stop), "left"))
        # A row's id is its number in the set plus what its run's start exceeds the rows before that run by.
        offsets = self._starts[first:last] - self._ranks[first:last]
        edges = np.clip(self._ranks[first : last + 1], np.uint64(start), np.uint64(stop))
        return np.repeat(offsets, np.diff(edges).astype(np.intp)) + np.arange(start, stop, dtype=np.uint64)


def row_ids(values: npt.ArrayLike | Iterable[int], largest: int = ROW_ID_STOP - 1) -> Rows:
    """Turn integers of any type into row ids, or say which one cannot be one."""
    array = values if isinstance(values, np.ndarray) else np.asarray(list(values))  # type: ignore[arg-type]  # integers, one by one
    if array.ndim != 1:
        raise InputError(f"row ids come as one dimension, not {array.ndim}")
    if not len(array):
        return np.zeros(0, np.uint64)
    if array.dtype.kind not in "iu":
        raise InputError(f"row ids are integers, not {array.dtype}")
    least, most = int(array.min()), int(array.max())
    if least < 0 or most > largest:
        raise InputError(f"row id {least if least < 0 else most} is outside 0 to {largest}")
    return array.astype(np.uint64)


def _inside(rows: RowSet, points: Rows) -> Flags:
    """Say of each point whether a run holds it: more runs have started than stopped."""
    starts, stops = rows.runs()
    return np.searchsorted(starts, points, "right") > np.searchsorted(stops, points, "right")


def _combine(left: RowSet, right: RowSet, rule: Callable[[Flags, Flags], Flags]) -> RowSet:
    """Apply a rule of two truths; membership changes only at the edges of runs, so only those are asked."""
    left_edges, right_edges = _edges(left), _edges(right)
    edges = np.concatenate((left_edges, right_edges))
    order = np.argsort(edges, kind="stable")  # two sorted stretches: merged, not sorted from scratch
    edges = edges[order]
    # A row is inside when an odd number of edges lie at or before it; of equal edges the last has counted them all.
    seen_left = np.cumsum(order < len(left_edges), dtype=np.int64)
    seen_right = np.arange(1, len(order) + 1) - seen_left
    last = np.append(edges[1:] != edges[:-1], True)[: len(edges)]
    kept = rule((seen_left[last] & 1).astype(bool), (seen_right[last] & 1).astype(bool))
    bounds = edges[last][np.flatnonzero(np.diff(kept, prepend=False))]
    return RowSet(bounds[0::2].copy(), bounds[1::2].copy())


def _edges(rows: RowSet) -> Rows:
    """Give starts and stops in turn: strictly ascending, because runs neither overlap nor touch."""
    starts, stops = rows.runs()
    edges = np.empty(2 * len(starts), np.uint64)
    edges[0::2], edges[1::2] = starts, stops
    return edges


def _pack(values: Rows) -> tuple[int, bytes]:
    """Choose the fewest bytes that hold every value, and write them so."""
    largest = int(values.max(initial=0))
    width = next(width for width in _WIDTHS if largest < 1 << (8 * width))
    return width, values.astype(f"<u{width}").tobytes()
