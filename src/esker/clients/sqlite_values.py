"""What SQLite sees of Arrow values: five storage classes, and an order over all of them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esker.errors import InputError

_DAY_FIRST, _DAY_STOP = -719_528, 2_932_897  # 0000-01-01 and 10000-01-01, in days from 1970
_TICKS_OF_A_DAY = {"s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}


def affinity(type_: pa.DataType) -> str:
    """The declared type of a column, whose affinity SQLite applies to what it is compared with.

    >>> affinity(pa.bool_()), affinity(pa.decimal128(9, 2)), affinity(pa.timestamp("us"))
    ('INTEGER', 'REAL', 'TEXT')
    """
    if pa.types.is_boolean(type_) or pa.types.is_integer(type_) or pa.types.is_duration(type_):
        return "INTEGER"
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "REAL"
    if is_bytes(type_) or pa.types.is_null(type_):
        return "BLOB"
    return "TEXT"


def sqlite_values(values: pa.Array, name: str) -> list[Any]:
    """The values of a column as SQLite has them.

    >>> sqlite_values(pa.array([1_370_044_800_500, None], pa.timestamp("ms", "UTC")), "seen")
    ['2013-06-01 00:00:00.5', None]

    Booleans are 0 and 1, decimals the nearest REAL, dates and times the text that SQLite's own functions write, in UTC,
    durations their number of ticks; lists and structs are JSON. NaN becomes NULL, as always in SQLite. InputError names
    the column of an unsigned number above 2^63 and of a date outside the years 0 to 9999, which SQLite cannot hold.
    """
    type_ = values.type
    if pa.types.is_boolean(type_):
        return list(values.cast(pa.int8()).to_pylist())
    if type_ == pa.uint64():
        _require(pc.less(values, pa.scalar(1 << 63, pa.uint64())), name, "numbers of 2^63 or more; cast it to text")
        return list(values.to_pylist())
    if pa.types.is_decimal(type_):
        return [None if value is None else float(value) for value in values.to_pylist()]
    if pa.types.is_duration(type_):
        return list(values.cast(pa.int64()).to_pylist())
    if pa.types.is_date(type_):
        days = values.cast(pa.date32())
        _require_years(days.cast(pa.int32()).cast(pa.int64()), 1, name)
        return list(days.cast(pa.string()).to_pylist())
    if pa.types.is_timestamp(type_):
        ticks = values.cast(pa.int64())
        _require_years(ticks, _TICKS_OF_A_DAY[type_.unit], name)
        return _trimmed(ticks.cast(pa.timestamp(type_.unit)))
    if pa.types.is_time(type_):
        return _trimmed(values)
    if is_plain(type_):
        return list(values.to_pylist())
    return [None if value is None else json.dumps(value, default=str) for value in values.to_pylist()]


def is_plain(type_: pa.DataType) -> bool:
    """Whether values are numbers, texts, bytes or nothing to Python too."""
    numeric = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_null(type_)
    return bool(numeric or is_text(type_) or is_bytes(type_))


def is_text(type_: pa.DataType) -> bool:
    """Whether it is a string of any layout."""
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or type_ == pa.string_view())


def is_bytes(type_: pa.DataType) -> bool:
    """Whether it is binary of any layout."""
    return bool(
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
        or type_ == pa.binary_view()
    )


def _trimmed(values: pa.Array) -> list[Any]:
    """Without zeros at the end of a fraction: SQLite writes none, and texts sort as the times do all the same."""
    texts = values.cast(pa.string()).to_pylist()
    return [text.rstrip("0").rstrip(".") if text is not None and "." in text else text for text in texts]


def _require_years(ticks: pa.Array, ticks_of_a_day: int, name: str) -> None:
    first, stop = max(_DAY_FIRST * ticks_of_a_day, -(2**63)), min(_DAY_STOP * ticks_of_a_day, 2**63 - 1)
    inside = pc.and_(pc.greater_equal(ticks, first), pc.less_equal(ticks, stop - 1))
    _require(inside, name, "dates outside the years 0 to 9999")


def _require(fits: pa.Array, name: str, what: str) -> None:
    if pc.any(pc.invert(fits)).as_py():
        raise InputError(f"column {name!r} has {what}: SQLite cannot hold them; leave the column or these rows out")
