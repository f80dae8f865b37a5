"""The key join: which rows of two sets of key columns are equal, as pairs of positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.kernel import _kernel

Positions = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int64]

# Working memory of a match for each row of either side: codes, order, first and count, each 8 bytes, and one to spare.
MATCH_BYTES_PER_ROW = 40
# A table of counts by code is used when it is at most this much longer than the rows.
_DENSE_FACTOR = 4


class KeyTable:
    """Key columns of the build side, ready to be probed any number of times.

    >>> table = KeyTable([pa.array([5, None, 7, 5])])
    >>> [(p.tolist(), b.tolist()) for p, b in table.match([pa.array([7, 5, None])]).pairs(10)]
    [([0, 1, 1], [2, 0, 3])]

    A null matches nothing, NaN matches NaN, -0.0 matches 0.0. All columns come in the same types on both sides.
    One narrow column is grouped once. Several, or wide ones, are encoded together with each probe, so `probe_rows`
    says how many rows a probe should bring to be worth it.
    """

    def __init__(self, columns: Sequence[pa.Array]) -> None:
        assert columns, "a join needs a key"
        self._columns = list(columns)
        self.row_count = len(columns[0])
        self._narrow = len(columns) == 1 and is_narrow(columns[0].type)
        self._grouped = _GroupedCodes(*narrow_codes(columns[0])) if self._narrow else None

    @property
    def probe_rows(self) -> int:
        """Rows of a probe below which preparing it costs more than matching it."""
        return 0 if self._narrow else self.row_count

    def match(self, columns: Sequence[pa.Array]) -> Matches:
        """Find the build rows equal to each row of `columns`."""
        if self._grouped is not None:
            return self._grouped.match(*narrow_codes(columns[0]))
        probe, build = encode_together(columns, self._columns)
        return _GroupedCodes(*build).match(*probe)


class Matches:
    """For each probe row, a run of build positions; pairs are made when asked for, and never held whole."""

    def __init__(self, first: Positions, counts: Positions, order: Positions) -> None:
        self._first = first
        self._order = order
        self.counts = counts
        self._ends = np.cumsum(counts)

    @property
    def pair_count(self) -> int:
        """How many pairs there are."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def pairs(self, size: int) -> Iterator[tuple[Positions, Positions]]:
        """Yield (probe positions, build positions), sorted by both, in arrays of `size` (the last may be shorter)."""
        for start in range(0, self.pair_count, size):
            yield self._slice(start, min(start + size, self.pair_count))

    def build_matched(self) -> Positions:
        """The build positions that have a partner: each once, in no order."""
        starts = self._first[self.counts > 0]
        stops = starts + self.counts[self.counts > 0]
        covered = np.zeros(len(self._order) + 1, np.int64)
        np.add.at(covered, starts, 1)
        np.add.at(covered, stops, -1)
        return self._order[np.cumsum(covered[:-1]) > 0]

    def _slice(self, start: int, stop: int) -> tuple[Positions, Positions]:
        low = int(np.searchsorted(self._ends, start, "right"))
        high = int(np.searchsorted(self._ends, stop, "left")) + 1
        begins = self._ends[low:high] - self.counts[low:high]
        taken = np.minimum(self._ends[low:high], stop) - np.maximum(begins, start)
        probe = np.repeat(np.arange(low, high, dtype=np.int64), taken)
        # A pair's place in its run is its number less the pairs before that run.
        build = np.repeat(self._first[low:high] - begins, taken) + np.arange(start, stop, dtype=np.int64)
        return probe, self._order[build]


class _GroupedCodes:
    """Codes of the build side, equal ones together in row order, with the positions they came from; no nulls."""

    def __init__(self, codes: Codes, valid: npt.NDArray[np.bool_] | None) -> None:
        positions = np.arange(len(codes), dtype=np.int64) if valid is None else np.flatnonzero(valid)
        kept = np.ascontiguousarray(codes if valid is None else codes[positions])
        self._low, self._span = _range_of(kept)
        self._table: _kernel.CodeTable | None = None
        if self._span <= _DENSE_FACTOR * len(kept) + 1024:
            numbers, count = kept - self._low, self._span
        else:
            self._table, numbers = _kernel.CodeTable.of(kept)
            count = self._table.code_count
        sizes = np.bincount(numbers, minlength=count)
        self._starts = np.zeros(count + 1, np.int64)
        np.cumsum(sizes, out=self._starts[1:])
        # Each code once, and in order: the usual case of a key that is one.
        ordered = bool((numbers[1:] > numbers[:-1]).all())
        self._order = positions if ordered else positions[_grouping(numbers, unique=bool((sizes <= 1).all()))]

    def match(self, codes: Codes, valid: npt.NDArray[np.bool_] | None) -> Matches:
        if not len(self._order):
            zeros = np.zeros(len(codes), np.int64)
            return Matches(zeros, zeros, self._order)
        numbers, there = self._find(np.ascontiguousarray(codes))
        if valid is not None:
            there &= valid
        numbers = np.where(there, numbers, 0)
        first = self._starts[numbers]
        return Matches(first, np.where(there, self._starts[numbers + 1] - first, 0), self._order)

    def _find(self, codes: Codes) -> tuple[Codes, npt.NDArray[np.bool_]]:
        if self._table is not None:
            numbers = self._table.find(codes)
            return numbers, numbers >= 0
        there = (codes >= self._low) & (codes <= self._low + (self._span - 1))
        return np.where(there, codes, self._low) - self._low, there


def _range_of(codes: Codes) -> tuple[int, int]:
    """The least code, and how many there are from it to the greatest; Python integers, for the span may not be one."""
    if not len(codes):
        return 0, 0
    low = int(codes.min())
    return low, int(codes.max()) - low + 1


def _grouping(numbers: Codes, *, unique: bool) -> Positions:
    """Put rows in the order of their numbers; equal ones stay in row order."""
    if unique:
        order = np.empty(len(numbers), np.int64)
        ranks = np.zeros(int(numbers.max()) + 1, np.int64)
        ranks[numbers] = 1
        np.cumsum(ranks, out=ranks)
        order[ranks[numbers] - 1] = np.arange(len(numbers))
        return order
    return np.argsort(numbers, kind="stable")


def encode_together(
    left: Sequence[pa.Array], right: Sequence[pa.Array]
) -> tuple[tuple[Codes, npt.NDArray[np.bool_] | None], tuple[Codes, npt.NDArray[np.bool_] | None]]:
    """Give equal rows of both sides equal codes, dense from 0, and say which rows have no null."""
    split = len(left[0])
    codes, size = np.zeros(split + len(right[0]), np.int64), 1
    valid = np.ones(len(codes), np.bool_)
    for one, other in zip(left, right, strict=True):
        column = pa.concat_arrays([_comparable(one), _comparable(other)])
        indices, column_size = _dense(column)
        if column.null_count:
            valid &= column.is_valid().to_numpy(zero_copy_only=False)
        if size * max(column_size, 1) >= 1 << 62:
            codes, size = _redense(codes)
        codes, size = codes * max(column_size, 1) + indices, size * max(column_size, 1)
    if size > _DENSE_FACTOR * len(codes):
        codes, _ = _redense(codes)
    return (codes[:split], valid[:split]), (codes[split:], valid[split:])


def concat_column(batches: Sequence[pa.RecordBatch], index: int) -> pa.Array:
    """One column of many batches; strings that pass 2 GiB together get 64-bit offsets."""
    parts = [batch.column(index) for batch in batches]
    if len(parts) > 1 and sum(part.nbytes for part in parts) >= 1 << 31:
        parts = [_comparable(part) if not is_narrow(part.type) else part for part in parts]
    return pa.concat_arrays(parts)


def drop_null_keys(columns: Sequence[pa.Array]) -> npt.NDArray[np.bool_] | None:
    """Say which rows can match at all: those without a null key; None when all can."""
    valid: npt.NDArray[np.bool_] | None = None
    for column in columns:
        if column.null_count:
            mask = column.is_valid().to_numpy(zero_copy_only=False)
            valid = mask if valid is None else valid & mask
    return valid


def is_narrow(type_: pa.DataType) -> bool:
    """Whether values of a type are numbers, times or truths of up to 64 bits."""
    return bool(
        pa.types.is_boolean(type_)
        or pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or (pa.types.is_temporal(type_) and not pa.types.is_interval(type_))
    )


def narrow_codes(column: pa.Array) -> tuple[Codes, npt.NDArray[np.bool_] | None]:
    """Give the bits of each value as an integer; where it is null, any integer."""
    valid = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None
    if pa.types.is_floating(column.type):
        return _float_codes(column), valid
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    if pa.types.is_temporal(column.type):
        column = column.view(pa.int64() if column.type.bit_width == 64 else pa.int32())
    if column.null_count:
        column = column.fill_null(0)
    values = column.to_numpy(zero_copy_only=False)
    return values.view(np.int64) if values.dtype == np.uint64 else values.astype(np.int64, copy=False), valid


def _float_codes(column: pa.Array) -> Codes:
    values = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False) + 0.0  # -0.0 becomes 0.0
    values[np.isnan(values)] = np.nan  # NaN has many bit patterns
    codes: Codes = values.view(np.int64)
    return codes


def _comparable(column: pa.Array) -> pa.Array:
    """The column in a form whose dictionary has one entry for each key value."""
    if is_narrow(column.type):
        codes, valid = narrow_codes(column)
        return pa.array(codes, mask=None if valid is None else ~valid)
    if pa.types.is_decimal(column.type) and column.type.bit_width < 128:
        return column.cast(pa.decimal128(column.type.precision, column.type.scale))
    # 64-bit offsets: both sides together may pass 2 GiB.
    if pa.types.is_string(column.type) or column.type == pa.string_view():
        return column.cast(pa.large_string())
    if pa.types.is_binary(column.type) or column.type == pa.binary_view():
        return column.cast(pa.large_binary())
    return column


def _dense(column: pa.Array) -> tuple[Codes, int]:
    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64), 1
    encoded = column.dictionary_encode()
    indices = pc.fill_null(encoded.indices, 0) if column.null_count else encoded.indices
    return indices.to_numpy(zero_copy_only=False).astype(np.int64), len(encoded.dictionary)


def _redense(codes: Codes) -> tuple[Codes, int]:
    return _dense(pa.array(codes))
