"""One value for each group, of one column: what aggregations are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.engine.group import Codes, first_rows_of, group_codes, last_rows_of

# Sums of decimals up to this many digits stay below 38 digits for ten billion rows.
_DIGITS_THAT_ADD_UP = 28
# Holds the sum of any integers.
_WHOLE_SUM = pa.decimal128(38, 0)
_ALL_BUT_SIGN = pa.scalar(0x7FFF_FFFF_FFFF_FFFF, pa.int64())


@dataclass(frozen=True)
class Groups:
    """The group of each row of a table, and the first row of each group; groups are numbered as they appear."""

    codes: Codes
    first: npt.NDArray[np.int64]

    @classmethod
    def of(cls, table: pa.Table, by: Sequence[str]) -> Groups:
        """Group the rows that agree on `by`."""
        codes, _ = group_codes(table, by)
        return cls(codes, first_rows_of(codes))

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self.first)

    @property
    def last(self) -> npt.NDArray[np.int64]:
        """The last row of each group."""
        return last_rows_of(self.codes, self.count)


def reduce_column(column: pa.ChunkedArray, groups: Groups, how: str) -> pa.Array | pa.ChunkedArray:
    """Make one value for each group, in order of the groups.

    >>> table = pa.table({"k": ["a", "b", "a"], "v": [1.0, None, float("nan")]})
    >>> groups = Groups.of(table, ["k"])
    >>> [reduce_column(table["v"], groups, how).to_pylist() for how in ("first", "last", "count", "min")]
    [[1.0, None], [nan, None], [2, 0], [1.0, None]]

    `how` is first, last, len, count, count_distinct, min, max, sum, or total (of counts and sums, in their own type).
    Nulls are left out, but for first, last and len; a group of nulls alone has no min, max and sum. NaN is above all
    numbers.
    """
    if how in ("first", "last"):
        return column.take(pa.array(getattr(groups, how)))
    if how == "len":
        return pa.array(np.bincount(groups.codes, minlength=groups.count).astype(np.int64))
    if how == "count":
        return _count(groups.codes, column, groups.count)
    if how == "count_distinct":
        return _count_distinct(column, groups)
    if how in ("min", "max"):
        return _extreme(column, groups, how)
    if how == "sum" and _adds_up_in_64_bits(column):
        # Four times as fast as decimals, to which only the sums are turned.
        return _by_arrow(column.cast(pa.int64()), groups, "sum").cast(_WHOLE_SUM)
    return _by_arrow(column if how == "total" else _addable(column), groups, "sum")


def sum_type(type_: pa.DataType) -> pa.DataType:
    """The type of a sum: int64 of integers, double of floats, a decimal of the most digits of decimals."""
    if pa.types.is_floating(type_):
        return pa.float64()
    if pa.types.is_decimal256(type_):
        return pa.decimal256(76, type_.scale)
    return pa.decimal128(38, type_.scale) if pa.types.is_decimal(type_) else pa.int64()


def _adds_up_in_64_bits(column: pa.ChunkedArray) -> bool:
    """Whether the column has integers whose sum cannot leave int64, however they are grouped."""
    if pa.types.is_boolean(column.type):
        return True
    if not pa.types.is_integer(column.type):
        return False
    extremes = pc.min_max(column).as_py()
    return bool(max(abs(extremes["min"] or 0), abs(extremes["max"] or 0)) * len(column) < 1 << 63)


def _addable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values in a type whose sums do not wrap around: integers and booleans become decimals, floats doubles."""
    type_ = column.type
    if pa.types.is_floating(type_):
        return column.cast(pa.float64())
    if pa.types.is_decimal(type_):
        small = type_.precision <= _DIGITS_THAT_ADD_UP
        return column.cast(pa.decimal128(38, type_.scale) if small else pa.decimal256(76, type_.scale))
    if not (pa.types.is_integer(type_) or pa.types.is_boolean(type_)):
        raise pa.ArrowNotImplementedError(f"a sum of {type_}")
    return (column.cast(pa.uint8()) if pa.types.is_boolean(type_) else column).cast(_WHOLE_SUM)


def _by_arrow(column: pa.ChunkedArray, groups: Groups, how: str) -> pa.ChunkedArray:
    table = pa.table({"group": groups.codes, "value": column})
    # One thread: the order of additions may not depend on how many there are.
    found = table.group_by("group", use_threads=False).aggregate([("value", how)])
    return found.sort_by("group")[f"value_{how}"]


def _count(codes: Codes, column: pa.ChunkedArray, group_count: int) -> pa.Array:
    valid = column.is_valid().to_numpy()
    return pa.array(np.bincount(codes[valid], minlength=group_count).astype(np.int64))


def _count_distinct(column: pa.ChunkedArray, groups: Groups) -> pa.Array:
    pairs = pa.table({"group": groups.codes, "value": column})
    rows = Groups.of(pairs, ["group", "value"]).first
    return _count(groups.codes[rows], column.take(pa.array(rows)), groups.count)


def _extreme(column: pa.ChunkedArray, groups: Groups, how: str) -> pa.Array | pa.ChunkedArray:
    if not pa.types.is_floating(column.type):
        return _by_arrow(column, groups, how)
    # pyarrow's own leave NaN out, and give infinity for NaN alone; integers in the order of the floats do not.
    ordered = pa.chunked_array([_flipped(_bits(chunk)) for chunk in column.chunks], pa.int64())
    found = _flipped(_by_arrow(ordered, groups, how).combine_chunks())
    return _one_array(found).view(pa.float64()).cast(column.type)


def _bits(floats: pa.Array) -> pa.Array:
    doubles = floats.cast(pa.float64())
    one_nan = pc.if_else(pc.is_nan(doubles), pa.scalar(float("nan"), pa.float64()), doubles)
    return one_nan.view(pa.int64())


def _flipped(bits: pa.Array) -> pa.Array:
    """Between the bits of doubles and integers of the same order: of negative ones all bits but the sign turn over."""
    return pc.if_else(pc.less(bits, 0), pc.bit_wise_xor(bits, _ALL_BUT_SIGN), bits)


def _one_array(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
