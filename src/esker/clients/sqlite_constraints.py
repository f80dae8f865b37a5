"""A constraint that SQLite hands down, as a predicate of ours that loses no row of SQLite's.

SQLite checks every row again, so a predicate may let more pass; None restricts nothing. What is easy to get wrong is
SQLite's order over all values (numbers, then texts, then blobs) and that the affinity of a column is applied to the
other side of a comparison, after we are asked: only values of the column's own class are compared here.
"""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from esker.clients.sqlite_values import is_bytes, is_text, sqlite_values
from esker.errors import InputError
from esker.expression import And, Call, Column, Compare, CompareOp, Expression, IsNull, Like, Literal, Not, Or

_MATCHES = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_FALSE = Literal(pa.scalar(False))


def constraint(field: pa.Field, op: str, value: Any, *, constant: bool) -> Expression | None:
    """What `column op value` keeps at least; `value` of IN is a set. `constant`: it is written in the SQL.

    >>> from esker.expression import to_sql
    >>> to_sql(constraint(pa.field("born", pa.date32()), "<", "2013-06", constant=True))
    '"born" < DATE \\'2013-06-01\\''
    >>> constraint(pa.field("age", pa.int32()), "<", "old", constant=True) is None
    True
    """
    column = Column(field.name)
    if op == "in":
        return _in(field, value)
    if op in ("is null", "is not null"):
        null = _null(field)
        return null if op == "is null" else Not(IsNull(column))
    if op in ("is", "is not") and value is None:
        return _null(field) if op == "is" else Not(IsNull(column))
    if value is None:
        return _FALSE
    if op == "is":
        return _compare(field, "=", value, constant)
    if op == "is not":
        other = _compare(field, "!=", value, constant)
        return None if other is None else Or((_null(field), other))
    if op in ("like", "glob"):
        return _pattern(field, op, value)
    return _compare(field, op, value, constant)  # type: ignore[arg-type]  # the others are comparisons


def _null(field: pa.Field) -> Expression:
    column = Column(field.name)
    # NaN is NULL in SQLite.
    return Or((IsNull(column), Call("isnan", (column,)))) if pa.types.is_floating(field.type) else IsNull(column)


def _in(field: pa.Field, values: Any) -> Expression | None:
    parts: list[Expression] = []
    # A set has no order of its own; plans are the same each time.
    for value in sorted(values, key=repr):
        if value is None:
            continue
        part = _compare(field, "=", value, constant=False)
        if part is None:
            return None
        parts.append(part)
    return Or(tuple(parts)) if parts else _FALSE


def _compare(field: pa.Field, op: CompareOp, value: Any, constant: bool) -> Expression | None:
    type_, column = field.type, Column(field.name)
    if isinstance(value, int | float):
        return _compare_number(field, op, value)
    if isinstance(value, str) and is_text(type_):
        return Compare(op, column, Literal(pa.scalar(value))) if constant or _same_as_text(op, value) else None
    if isinstance(value, bytes) and is_bytes(type_):
        return Compare(op, column, Literal(pa.scalar(value)))
    if isinstance(value, str) and (pa.types.is_timestamp(type_) or pa.types.is_date(type_) or pa.types.is_time(type_)):
        return _compare_time(field, op, value)
    return None


def _same_as_text(op: CompareOp, value: str) -> bool:
    """Whether comparing as text loses nothing if the other side has numeric affinity.

    Our texts that look like numbers are numbers then, below every text: those that begin with a digit, a sign, a point
    or a space. They are below the value as texts too when it begins with a later character.
    """
    return op not in ("<", "<=") or value[:1] > "9"


def _compare_number(field: pa.Field, op: CompareOp, value: int | float) -> Expression | None:
    type_, column = field.type, Column(field.name)
    if pa.types.is_boolean(type_):
        found = [truth for truth in (False, True) if _MATCHES[op](int(truth), value)]
        if len(found) == 2:
            return Not(IsNull(column))
        return Compare("=", column, Literal(pa.scalar(found[0]))) if found else _FALSE
    if pa.types.is_duration(type_):
        return Compare(op, column, Literal(pa.scalar(value, type_))) if isinstance(value, int) else None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return Compare(op, column, Literal(pa.scalar(value)))
    if pa.types.is_decimal(type_):
        return _compare_decimal(column, op, float(value))
    return None


def _compare_decimal(column: Column, op: CompareOp, value: float) -> Expression | None:
    """SQLite compares the nearest REAL, which may be one step to either side."""
    below = Compare("<=", column, Literal(pa.scalar(math.nextafter(value, math.inf))))
    above = Compare(">=", column, Literal(pa.scalar(math.nextafter(value, -math.inf))))
    if op == "=":
        return And((above, below))
    if op == "!=":
        return None
    return below if op in ("<", "<=") else above


def _compare_time(field: pa.Field, op: CompareOp, text: str) -> Expression | None:
    """Texts of dates and times sort as they do, so a bound is one of the column's: the first that `text` begins."""
    column = Column(field.name)
    full = "00:00:00" if pa.types.is_time(field.type) else "0000-01-01 00:00:00"
    full = full[:10] if pa.types.is_date(field.type) else full
    whole = _time_of(text, field)
    if whole is not None:
        return Compare(op, column, whole)
    if len(text) > len(full) == 10 and (day := _time_of(text[:10], field)) is not None:
        # A date and more: behind that date's text, before the next one's.
        later: dict[str, CompareOp] = {"<": "<=", "<=": "<=", ">": ">", ">=": ">"}
        return Compare(later[op], column, day) if op in later else _never(op, column)
    first = _time_of(text + full[len(text) :], field) if len(text) < len(full) else None
    if first is None or full[len(text)] not in "-: ":
        return None
    earlier: dict[str, CompareOp] = {"<": "<", "<=": "<", ">": ">=", ">=": ">="}
    return Compare(earlier[op], column, first) if op in earlier else _never(op, column)


def _never(op: CompareOp, column: Column) -> Expression:
    """No value of the column has this text."""
    return _FALSE if op == "=" else Not(IsNull(column))


def _time_of(text: str, field: pa.Field) -> Literal | None:
    """The value that is written so, to the character."""
    type_ = field.type
    if pa.types.is_date(type_):
        value = _parsed(text, pa.date32())
    else:
        day = "1970-01-01 " if pa.types.is_time(type_) else ""
        ticks = _parsed(day + text, pa.timestamp(type_.unit))
        value = ticks.cast(pa.int64()) if ticks is not None else None
    if value is None:
        return None
    if pa.types.is_time32(type_):
        value = value.cast(pa.int32())
    value = value.cast(type_)
    try:
        written = sqlite_values(pa.array([value], type_), field.name)
    except InputError:
        return None
    return Literal(value) if written == [text] else None


def _parsed(text: str, type_: pa.DataType) -> pa.Scalar | None:
    try:
        return pa.scalar(text).cast(type_)
    except pa.ArrowException:
        return None


def _pattern(field: pa.Field, op: str, pattern: Any) -> Expression | None:
    """LIKE and GLOB end at a NUL, in patterns and in values: only patterns that end in `%` or `*` lose nothing."""
    if not isinstance(pattern, str) or not is_text(field.type) or "\0" in pattern:
        return None
    column = Column(field.name)
    if op == "like":
        return Like(column, pattern.replace("\\", "\\\\"), case_sensitive=False) if pattern.endswith("%") else None
    prefix = pattern[:-1]
    if not pattern.endswith("*") or not prefix or any(special in prefix for special in "*?["):
        return None
    return Call("starts_with", (column, Literal(pa.scalar(prefix))))
