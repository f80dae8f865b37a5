"""A seeded table of every fixed-width type, strings of all lengths, nulls, NaN, zones and decimals."""

from __future__ import annotations

import datetime as dt
import decimal
import math

import numpy as np
import pyarrow as pa


def wide_table(row_count: int, seed: int, prefix: str = "") -> pa.Table:
    """`row_count` rows; every column but `id` has nulls; `k` and `s` have few values, so that they join and group."""
    random = np.random.default_rng(seed)

    def column(values: list[object], type_: pa.DataType) -> pa.Array:
        nulls = random.random(row_count) < 0.15
        return pa.array([None if null else value for value, null in zip(values, nulls, strict=True)], type_)

    def pick(choices: list[object]) -> list[object]:
        return [choices[int(random.integers(len(choices)))] for _ in range(row_count)]

    epoch = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    moments = [epoch + dt.timedelta(hours=int(hour)) for hour in random.integers(0, 48, row_count)]
    integers = [int(value) for value in random.integers(-100, 100, row_count)]
    columns = {
        "id": pa.array(range(row_count), pa.int64()),
        "k": column([int(value) for value in random.integers(0, 12, row_count)], pa.int32()),
        "s": column(pick(["", "JFK", "LGA", "a string that is longer than twelve bytes", "žluťoučký"]), pa.string()),
        "flag": column(pick([True, False]), pa.bool_()),
        "i8": column(integers, pa.int8()),
        "i16": column(integers, pa.int16()),
        "u8": column([abs(value) for value in integers], pa.uint8()),
        "u16": column([abs(value) for value in integers], pa.uint16()),
        "u32": column([abs(value) for value in integers], pa.uint32()),
        "u64": column([abs(value) * 2**40 for value in integers], pa.uint64()),
        "f32": column(pick([0.0, -0.0, 1.5, math.nan, math.inf]), pa.float32()),
        "f64": column(pick([0.0, -0.0, -2.25, math.nan, -math.inf, 1e300]), pa.float64()),
        "money": column([decimal.Decimal(value).scaleb(-2) for value in integers], pa.decimal128(12, 2)),
        "day": column([moment.date() for moment in moments], pa.date32()),
        "moment": column(moments, pa.timestamp("us", "UTC")),
        "local": column([moment.replace(tzinfo=None) for moment in moments], pa.timestamp("ms")),
        "clock": column([moment.time() for moment in moments], pa.time64("us")),
        "bytes": column([str(value).encode() * (1 + abs(value) % 5) for value in integers], pa.binary()),
    }
    return pa.table({prefix + name if name not in ("k", "s") else name: values for name, values in columns.items()})


def rows_of(table: pa.Table) -> list[str]:
    """The rows as sorted text, so that two tables are equal when they have the same rows in any order.

    -0.0 and 0.0 differ, as stored rows may not change; NaN equals NaN.
    """
    return sorted(repr(list(row.values())) for row in table.to_pylist())
