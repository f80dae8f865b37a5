"""The functions that predicates may call: each says what it takes and is one Arrow kernel or two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Value: TypeAlias = "pa.Array | pa.Scalar"


@dataclass(frozen=True)
class Function:
    """`takes` has a word for each argument: text, number, float, day (dates and timestamps) or clock (times too)."""

    takes: tuple[str, ...]
    compute: Callable[..., Value]


def _whole(compute: Callable[[Value], Value]) -> Callable[[Value], Value]:
    # DuckDB's parts of dates are BIGINT whatever the kernel gives.
    return lambda value: pc.cast(compute(value), pa.int64())


def _weekday(value: Value) -> Value:
    """Sunday is 0, as in DuckDB."""
    return pc.day_of_week(value, count_from_zero=True, week_start=7)


FUNCTIONS = {
    "lower": Function(("text",), pc.utf8_lower),
    "upper": Function(("text",), pc.utf8_upper),
    "length": Function(("text",), _whole(pc.utf8_length)),
    "trim": Function(("text",), lambda value: pc.utf8_trim(value, " ")),
    "starts_with": Function(("text", "pattern"), lambda value, part: pc.starts_with(value, part.as_py())),
    "ends_with": Function(("text", "pattern"), lambda value, part: pc.ends_with(value, part.as_py())),
    "contains": Function(("text", "pattern"), lambda value, part: pc.match_substring(value, part.as_py())),
    "abs": Function(("number",), pc.abs_checked),
    "isnan": Function(("float",), pc.is_nan),
    "year": Function(("day",), _whole(pc.year)),
    "quarter": Function(("day",), _whole(pc.quarter)),
    "month": Function(("day",), _whole(pc.month)),
    "day": Function(("day",), _whole(pc.day)),
    "dayofweek": Function(("day",), _whole(_weekday)),
    "dayofyear": Function(("day",), _whole(pc.day_of_year)),
    "hour": Function(("clock",), _whole(pc.hour)),
    "minute": Function(("clock",), _whole(pc.minute)),
    "second": Function(("clock",), _whole(pc.second)),
}


def fits(kind: str, type_: pa.DataType) -> bool:
    """True when an argument of `type_` is what a function takes."""
    if kind in ("text", "pattern"):
        return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))
    if kind == "number":
        return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))
    if kind == "float":
        return bool(pa.types.is_floating(type_))
    if kind == "clock" and (pa.types.is_time(type_) or pa.types.is_timestamp(type_)):
        return True
    return kind == "day" and bool(pa.types.is_date(type_) or pa.types.is_timestamp(type_))
