"""Constants as exact numbers in a type's own units, so that comparing never rounds."""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esker.errors import PredicateError
from esker.expression.nodes import Literal, Position

Exact = Fraction | float  # a float only for infinities and NaN

_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DAY_NS = 86_400 * 10**9
_DATE = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?"
    r"\s*(Z|[+-]\d{2}(?::?\d{2})?)?\s*"
)
_TIME = re.compile(r"\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s*")
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def refuse(message: str, position: Position | None) -> PredicateError:
    """A PredicateError that points into the text the predicate was read from, where that is known."""
    return PredicateError(message, position.text, position.offset) if position is not None else PredicateError(message)


def is_ordered_by_ticks(type_: pa.DataType) -> bool:
    """True for types whose values are whole numbers of some unit: integers, decimals, dates, times, durations."""
    return bool(pa.types.is_integer(type_) or pa.types.is_decimal(type_) or pa.types.is_temporal(type_))


def ticks_of(literal: Literal, type_: pa.DataType) -> Exact:
    """The constant in units of `type_`, exactly: 1.25 in decimal(4, 1) is 25/2.

    Raises PredicateError when it is no value of that kind.
    """
    if pa.types.is_temporal(type_):
        return Fraction(_nanoseconds(literal, type_), _tick_ns(type_))
    value = _number(literal, type_)
    return value * 10**type_.scale if pa.types.is_decimal(type_) and isinstance(value, Fraction) else value


def tick_range(type_: pa.DataType) -> tuple[int, int]:
    """The least and the greatest value of `type_` in its units."""
    if pa.types.is_decimal(type_):
        return -(10**type_.precision) + 1, 10**type_.precision - 1
    if pa.types.is_unsigned_integer(type_):
        return 0, 2**type_.bit_width - 1
    if pa.types.is_time(type_):
        return 0, _DAY_NS // _tick_ns(type_) - 1
    bits = 32 if type_ == pa.date64() else type_.bit_width
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def scalar_of_ticks(ticks: int, type_: pa.DataType) -> pa.Scalar:
    """The value of `type_` that is so many of its units."""
    if pa.types.is_decimal(type_):
        digits = tuple(int(digit) for digit in str(abs(ticks)))
        return pa.scalar(Decimal((int(ticks < 0), digits, -type_.scale)), type_)
    if type_ == pa.date64():
        ticks *= 86_400_000
    if pa.types.is_temporal(type_):
        return pa.scalar(ticks, pa.int64() if type_.bit_width == 64 else pa.int32()).cast(type_)
    return pa.scalar(ticks, type_)


def float_of(literal: Literal, type_: pa.DataType) -> float:
    """The constant as a double, rounded to the nearest."""
    value = _number(literal, type_)
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def literal_of_text(literal: Literal, type_: pa.DataType) -> pa.Scalar:
    """What `CAST('…' AS type)` and `DATE '…'` say; a value that does not fit the type is an error."""
    if not literal.value.is_valid:
        return pa.scalar(None, type_)
    if is_ordered_by_ticks(type_):
        low, high = tick_range(type_)
        ticks = ticks_of(literal, type_)
        if type_ == pa.timestamp("us") and isinstance(ticks, Fraction) and ticks.denominator != 1:
            return literal_of_text(literal, pa.timestamp("ns"))
        if not isinstance(ticks, Fraction) or ticks.denominator != 1 or not low <= ticks <= high:
            raise refuse(f"{shown(literal)} is not a value of {type_}", literal.position)
        return scalar_of_ticks(int(ticks), type_)
    if pa.types.is_floating(type_):
        return pa.scalar(float_of(literal, type_), type_)
    return plain_scalar(literal, type_)


def plain_scalar(literal: Literal, type_: pa.DataType) -> pa.Scalar:
    """The constant as a boolean, string or bytes."""
    value = literal.value.as_py()
    if pa.types.is_boolean(type_):
        value = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else value
        if isinstance(value, bool):
            return pa.scalar(value, type_)
    elif pa.types.is_string(type_) or pa.types.is_large_string(type_):
        if isinstance(value, str):
            return pa.scalar(value, type_)
    elif isinstance(value, str | bytes):
        return pa.scalar(bytes_of(literal, type_), type_)
    raise refuse(f"{shown(literal)} is not a value of {type_}", literal.position)


def shown(literal: Literal) -> str:
    """A constant as people write it."""
    value: Any = literal.value
    return repr(value.as_py()) if pa.types.is_string(value.type) else str(value)


def bytes_of(literal: Literal, type_: pa.DataType) -> bytes:
    r"""The constant as bytes, in text as DuckDB writes them: ASCII, and \xHH for the others."""
    value = literal.value.as_py()
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise refuse(f"{shown(literal)} is not a value of {type_}", literal.position)
    if not value.isascii() or re.search(r"\\(?!x[0-9a-fA-F]{2})", value):
        raise refuse(f"{value!r} is no BLOB; write bytes beyond ASCII, and the backslash, as \\xHH", literal.position)
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match.group(1), 16)), value).encode("latin-1")


def _number(literal: Literal, type_: pa.DataType) -> Exact:
    value, kind = literal.value.as_py(), literal.value.type
    if pa.types.is_boolean(kind) or not isinstance(value, int | float | Decimal | str):
        raise refuse(f"{shown(literal)} is not a value of {type_}", literal.position)
    try:
        number = Decimal(value.strip()) if isinstance(value, str) else value
    except InvalidOperation:
        raise refuse(f"{value!r} is no number, so not a value of {type_}", literal.position) from None
    return Fraction(number) if math.isfinite(number) else float(number)


def _tick_ns(type_: pa.DataType) -> int:
    return _DAY_NS if pa.types.is_date(type_) else _UNIT_NS[type_.unit]


def _nanoseconds(literal: Literal, type_: pa.DataType) -> int:
    """Since midnight for times, since 1970 for the others; of the instant where `type_` has a zone."""
    kind = literal.value.type
    if pa.types.is_string(kind):
        text = literal.value.as_py()
        return _time_of(text, literal, type_) if pa.types.is_time(type_) else _instant_of(text, literal, type_)
    alike = pa.types.is_time(kind) == pa.types.is_time(type_) and pa.types.is_duration(kind) == pa.types.is_duration(
        type_
    )
    if not pa.types.is_temporal(kind) or not alike:
        raise refuse(f"{shown(literal)} is not a value of {type_}", literal.position)
    if kind == pa.date64():
        return int(literal.value.cast(pa.int64()).as_py()) * 10**6
    storage = pa.int64() if kind.bit_width == 64 else pa.int32()
    nanoseconds = int(literal.value.cast(storage).as_py()) * _tick_ns(kind)
    return _in_zone(nanoseconds, getattr(kind, "tz", None) is not None, literal, type_)


def _in_zone(nanoseconds: int, zoned: bool, literal: Literal, type_: pa.DataType) -> int:
    """Bring a wall clock to the zone of `type_`; an instant stays."""
    zone = getattr(type_, "tz", None)
    if zoned and zone is None:
        raise refuse(f"{shown(literal)} has a zone, but {type_} has none; write it without", literal.position)
    if zone is None or zoned:
        return nanoseconds
    second, rest = divmod(nanoseconds, 10**9)
    clock = pa.scalar(second, pa.int64()).cast(pa.timestamp("s"))
    there = pc.assume_timezone(clock, zone, ambiguous="earliest", nonexistent="earliest")
    return int(there.cast(pa.int64()).as_py()) * 10**9 + rest


def _instant_of(text: str, literal: Literal, type_: pa.DataType) -> int:
    match = None if pa.types.is_duration(type_) else _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
        nanoseconds = days * _DAY_NS + _clock(hour, minute, second, match.group(7))
    except ValueError:
        example = "2013-06-01" if pa.types.is_date(type_) else "2013-06-01 12:30:00"
        raise refuse(f"{text!r} is not a value of {type_}; write it like {example!r}", literal.position) from None
    offset = match.group(8)
    return _in_zone(nanoseconds - _offset_ns(offset), offset is not None, literal, type_)


def _time_of(text: str, literal: Literal, type_: pa.DataType) -> int:
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        hour, minute, second = (int(part or 0) for part in match.groups()[:3])
        return _clock(hour, minute, second, match.group(4))
    except ValueError:
        raise refuse(f"{text!r} is not a value of {type_}; write it like '12:30:00'", literal.position) from None


def _clock(hour: int, minute: int, second: int, fraction: str | None) -> int:
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(hour, minute, second)
    return (hour * 3600 + minute * 60 + second) * 10**9 + int((fraction or "").ljust(9, "0"))


def _offset_ns(offset: str | None) -> int:
    if offset is None or offset == "Z":
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return (-minutes if offset[0] == "-" else minutes) * 60 * 10**9
