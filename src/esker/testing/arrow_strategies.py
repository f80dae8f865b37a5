"""Hypothesis strategies for Arrow arrays, batches and tables, with the values that break things."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis.strategies import SearchStrategy

from esker.testing.arrow_types import TYPES

# Years 1 to 9999: what every library in the tests can print. Nanoseconds end sooner by themselves.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def arrays(type_: pa.DataType, size: int, *, nulls: bool = True) -> SearchStrategy[pa.Array]:
    """Arrays of `size` values: null, extreme, equal and ordinary ones; some are slices of longer arrays."""
    cell = _cells(type_, nulls)

    def build(parts: tuple[list[Any], int]) -> pa.Array:
        cells, before = parts
        before = before if cells else 0
        return _array([*cells[:1] * before, *cells], type_).slice(before)

    return st.tuples(st.lists(cell, min_size=size, max_size=size), st.integers(0, 3)).map(build)


def batches(
    types: Sequence[pa.DataType] = TYPES,
    *,
    rows_max: int = 20,
    columns_max: int = 4,
    nulls: bool = True,
    schema: pa.Schema | None = None,
) -> SearchStrategy[pa.RecordBatch]:
    """Record batches of 0 to `rows_max` rows; columns are named a, b, c and so on, or as in `schema`."""

    def of_schema(chosen: pa.Schema) -> SearchStrategy[pa.RecordBatch]:
        def of_size(size: int) -> SearchStrategy[pa.RecordBatch]:
            columns = [arrays(field.type, size, nulls=nulls) for field in chosen]
            return st.tuples(*columns).map(lambda found: pa.RecordBatch.from_arrays(list(found), schema=chosen))

        return st.integers(0, rows_max).flatmap(of_size)

    return of_schema(schema) if schema is not None else _schemas(types, columns_max).flatmap(of_schema)


def streams(
    types: Sequence[pa.DataType] = TYPES,
    *,
    rows_max: int = 20,
    columns_max: int = 4,
    batches_max: int = 4,
    nulls: bool = True,
    schema: pa.Schema | None = None,
) -> SearchStrategy[tuple[pa.Schema, list[pa.RecordBatch]]]:
    """A schema and its batches: none, several, empty ones among them."""

    def of_schema(chosen: pa.Schema) -> SearchStrategy[tuple[pa.Schema, list[pa.RecordBatch]]]:
        one = batches(schema=chosen, rows_max=rows_max, nulls=nulls)
        return st.lists(one, max_size=batches_max).map(lambda found: (chosen, found))

    return of_schema(schema) if schema is not None else _schemas(types, columns_max).flatmap(of_schema)


def tables(
    types: Sequence[pa.DataType] = TYPES,
    *,
    rows_max: int = 20,
    columns_max: int = 4,
    batches_max: int = 4,
    nulls: bool = True,
    schema: pa.Schema | None = None,
) -> SearchStrategy[pa.Table]:
    """Tables in chunks; the empty table and empty chunks are among them."""
    found = streams(
        types, rows_max=rows_max, columns_max=columns_max, batches_max=batches_max, nulls=nulls, schema=schema
    )
    return found.map(lambda stream: pa.Table.from_batches(stream[1], schema=stream[0]))


def _schemas(types: Sequence[pa.DataType], columns_max: int) -> SearchStrategy[pa.Schema]:
    chosen = st.lists(st.sampled_from(list(types)), min_size=1, max_size=columns_max)
    return chosen.map(lambda found: pa.schema([(chr(97 + number), type_) for number, type_ in enumerate(found)]))


@cache
def _cells(type_: pa.DataType, nulls: bool) -> SearchStrategy[Any]:
    # Kept: Hypothesis takes longer to look at a new strategy than to draw from a known one.
    value = _values(type_)
    return st.none() | value if nulls else value


def _values(type_: pa.DataType) -> SearchStrategy[Any]:
    if pa.types.is_nested(type_) or pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return _nested_values(type_)
    if pa.types.is_null(type_):
        return st.none()
    if pa.types.is_boolean(type_):
        return st.booleans()
    if pa.types.is_integer(type_):
        low, high = np.iinfo(type_.to_pandas_dtype()).min, np.iinfo(type_.to_pandas_dtype()).max
        return st.integers(-3, 3).filter(lambda value: value >= low) | st.integers(int(low), int(high))
    if pa.types.is_floating(type_):
        special = st.sampled_from([0.0, -0.0, 1.0, 1.5, float("nan"), float("inf"), float("-inf")])
        return special | st.floats(width=type_.bit_width, allow_subnormal=False)
    if pa.types.is_decimal(type_):
        limit = 10**type_.precision - 1
        unscaled = st.integers(-3, 3) | st.integers(-limit, limit)
        return unscaled.map(lambda value: _scaled(value, type_.scale))
    if pa.types.is_temporal(type_):
        return _ticks(type_)
    if pa.types.is_fixed_size_binary(type_):
        return st.binary(min_size=type_.byte_width, max_size=type_.byte_width)
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or type_ == pa.binary_view():
        return st.sampled_from([b"", b"\x00", b"\xff", b"long" * 20]) | st.binary(max_size=20)
    # No NUL: it ends strings in some of the libraries we compare with.
    text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
    return (
        st.sampled_from(["", "a", "A", "b", "é", "%", "_", "a long string, beyond any inline view", "x" * 300]) | text
    )


def _nested_values(type_: pa.DataType) -> SearchStrategy[Any]:
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return _values(type_.value_type)
    if pa.types.is_struct(type_):
        fields = [type_.field(number) for number in range(type_.num_fields)]
        return st.fixed_dictionaries({field.name: _cells(field.type, True) for field in fields})
    if pa.types.is_map(type_):
        items = st.tuples(_values(type_.key_type), _cells(type_.item_type, True))
        return st.lists(items, max_size=3, unique_by=lambda item: item[0])
    if pa.types.is_fixed_size_list(type_):
        return st.lists(_cells(type_.value_type, True), min_size=type_.list_size, max_size=type_.list_size)
    return st.lists(_cells(type_.value_type, True), max_size=4)


def _ticks(type_: pa.DataType) -> SearchStrategy[int]:
    """Integers in the type's own unit."""
    if pa.types.is_date(type_):
        step = _DAY["ms"] if type_ == pa.date64() else 1
        return st.sampled_from([-1, 0, 1, 15_706]).map(lambda day: day * step) | st.integers(_FIRST_DAY, _LAST_DAY).map(
            lambda day: day * step
        )
    day = _DAY[type_.unit]
    if pa.types.is_time(type_):
        return st.sampled_from([0, 1, day // 2, day - 1]) | st.integers(0, day - 1)
    if pa.types.is_duration(type_) or type_.unit == "ns":
        return st.integers(-3, 3) | st.integers(-(2**62), 2**62)
    # A day less at both ends, for the zones.
    return st.integers(-3, 3) | st.integers((_FIRST_DAY + 1) * day, (_LAST_DAY - 1) * day)


def _array(cells: list[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(type_):
        return pa.array(cells, type_.value_type).dictionary_encode().cast(type_)
    if pa.types.is_run_end_encoded(type_):
        return pc.run_end_encode(pa.array(cells, type_.value_type), run_end_type=type_.run_end_type)
    if pa.types.is_temporal(type_):
        storage = pa.int64() if type_.bit_width == 64 else pa.int32()
        return pa.array(cells, storage).cast(type_)
    if type_ == pa.float16():
        return pa.array([None if cell is None else np.float16(cell) for cell in cells], type_)
    return pa.array(cells, type_)


def _scaled(unscaled: int, scale: int) -> Decimal:
    # Not by arithmetic: the context's precision of 28 digits would round.
    return Decimal((int(unscaled < 0), tuple(int(digit) for digit in str(abs(unscaled))), -scale))
