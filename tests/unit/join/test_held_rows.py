from __future__ import annotations

from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from esker.join.held_rows import HeldRows, copies_held, take

TYPES = (
    pa.string(),
    pa.large_binary(),
    pa.bool_(),
    pa.int32(),
    pa.float64(),
    pa.decimal128(20, 2),
    pa.binary(3),
    pa.timestamp("us"),
    pa.list_(pa.int8()),
    pa.struct({"a": pa.string()}),
    pa.null(),
)


def value(number: int, type_: pa.DataType) -> object:
    """A value of a type, every fifth of them null, that tells its row."""
    if number % 5 == 4 or pa.types.is_null(type_):
        return None
    made: dict[pa.DataType, object] = {
        pa.large_binary(): b"x" * (number % 3),
        pa.bool_(): number % 2 == 0,
        pa.decimal128(20, 2): Decimal(number),
        pa.binary(3): b"%03d" % number,
        pa.timestamp("us"): np.datetime64("2026-01-01", "us") + np.timedelta64(number, "s"),
        pa.list_(pa.int8()): [number],
        pa.struct({"a": pa.string()}): {"a": str(number)},
        pa.int32(): number,
        pa.float64(): number / 2,
    }
    return made.get(type_, f"row {number}")


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.sampled_from(TYPES), st.data())
def test_rows_are_taken_across_batches(sizes: list[int], type_: pa.DataType, data: st.DataObject) -> None:
    total = sum(sizes)
    column = pa.array([value(number, type_) for number in range(total)], type_)
    ends = np.cumsum(sizes).tolist()
    batches = [pa.record_batch({"a": column.slice(end - size, size)}) for size, end in zip(sizes, ends, strict=True)]
    positions = data.draw(st.lists(st.integers(-1, total - 1), max_size=20))
    rows = HeldRows(batches)
    assert rows.row_count == total
    taken = rows.take("a", np.array(positions, np.int64))
    taken.validate(full=True)
    assert taken.type == type_
    assert taken.to_pylist() == [None if place < 0 else column[place].as_py() for place in positions]
    assert rows.column("a").to_pylist() == column.to_pylist()


def test_rows_that_are_not_there_are_refused() -> None:
    rows = HeldRows([pa.record_batch({"a": [1]}), pa.record_batch({"a": [2]})])
    for position in (2, -2):
        with pytest.raises(ValueError, match=f"row {position} of 2"):
            rows.take("a", np.array([position]))


def test_plain_columns_are_held_once() -> None:
    assert copies_held(pa.schema({"a": pa.string(), "b": pa.int8()})) == 1
    assert copies_held(pa.schema({"a": pa.string(), "b": pa.list_(pa.int8())})) == 2


def test_a_whole_column_is_not_copied() -> None:
    column = pa.array([1, 2, 3])
    assert take(column, np.arange(3)) is column
    assert take(column, np.array([2, 1, 0])).to_pylist() == [3, 2, 1]
    assert take(pa.array([], pa.int8()), np.array([-1])).to_pylist() == [None]
