"""Which strategy "auto" means, and why."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

AUTO = "auto"
_FILE = Path(__file__).with_name("measured.toml")


@dataclass(frozen=True)
class Choice:
    """A strategy, and the reason for it in words."""

    strategy: str
    reason: str


def choose_strategy(
    schema: pa.Schema, partition_count: int, thread_count: int, *, ordered: bool, memory_bytes: int
) -> Choice:
    """Choose by row width, partitions, threads, order and memory, from the measurements in `measured.toml`.

    >>> choose_strategy(pa.schema({"k": pa.int64()}), 256, 2, ordered=False, memory_bytes=1 << 30).strategy
    'software_managed_buffers'
    """
    measured = _measured()
    width = row_bytes(schema)
    kind = "strings" if width is None else "fixed"
    for rule in measured["rules"]:
        if rule["kind"] not in ("any", kind) or ordered not in rule.get("ordered", [True, False]):
            continue
        if width is not None and not rule.get("row_bytes_min", 0) <= width <= rule.get("row_bytes_max", 1 << 62):
            continue
        if not rule.get("partitions_min", 1) <= partition_count <= rule.get("partitions_max", 1 << 62):
            continue
        if not rule.get("threads_min", 1) <= thread_count <= rule.get("threads_max", 1 << 62):
            continue
        if memory_bytes < rule.get("memory_bytes_min", 0):
            continue
        return Choice(rule["strategy"], rule["reason"])
    raise AssertionError("the last rule of measured.toml holds for everything")


def row_bytes(schema: pa.Schema) -> int | None:
    """Bytes of a row, or None when its values are of no fixed width.

    >>> row_bytes(pa.schema({"k": pa.int32(), "b": pa.bool_()})), row_bytes(pa.schema({"s": pa.string()}))
    (5, None)
    """
    bits = [_bits(type_) for type_ in schema.types]
    return None if None in bits else sum((width or 0) + 7 >> 3 for width in bits)


def _bits(type_: pa.DataType) -> int | None:
    if pa.types.is_null(type_):
        return 0
    try:
        return int(type_.bit_width)
    except ValueError:
        return None


@cache
def _measured() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
