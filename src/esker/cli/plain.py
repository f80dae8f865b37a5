"""Arrow rows as plain values: what JSON can hold, and what a terminal can show."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa

CELL_CHARACTERS = 40


def rows_of(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows of a batch as dictionaries that JSON can hold.

    Times are text, durations a number in their own unit, decimals their digits as text, bytes base64, and NaN and
    the infinities null.

    >>> import decimal
    >>> batch = pa.record_batch({"n": [1.5, float("nan")], "d": [decimal.Decimal("1.20"), None], "b": [b"x", b""]})
    >>> list(rows_of(batch))
    [{'n': 1.5, 'd': '1.20', 'b': 'eA=='}, {'n': None, 'd': None, 'b': ''}]
    """
    names = batch.schema.names
    columns = [_values(column) for column in batch.columns]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def plain(value: Any) -> Any:
    """`value` as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return str(value)


def cell(value: Any, characters: int = CELL_CHARACTERS) -> str:
    r"""`value` for a cell of a table: one line, no control characters, cut to `characters`.

    >>> cell("a\x1b[31mb\n"), cell(None), cell("x" * 60, 10)
    ('a\\x1b[31mb\\n', '', 'xxxxxxxxx…')
    """
    text = "" if value is None else value if isinstance(value, str) else str(value)
    if not text.isprintable():
        # What a terminal would obey comes from files, and is shown instead.
        text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _values(column: pa.Array) -> list[Any]:
    if _is_plain(column.type):
        return list(column.to_pylist())
    # Arrow's times, not Python's, which have no nanoseconds and fewer years.
    if pa.types.is_duration(column.type):
        return list(column.cast(pa.int64()).to_pylist())
    if pa.types.is_temporal(column.type) and not pa.types.is_interval(column.type):
        return list(column.cast(pa.string()).to_pylist())
    return [plain(value) for value in column.to_pylist()]


def _is_plain(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_)
        or pa.types.is_boolean(type_)
        or pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
        or pa.types.is_null(type_)
    )
