"""Random predicates over random tables, and DuckDB's word on them.

Seeded rather than drawn value by value: a case has some thirty rows of the values that break things, and constants
that they equal, which would take Hypothesis long to find.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from esker.core.batch import plain_type
from esker.expression import And, Column, Compare, Expression, InList, IsNull, Like, Literal, Not, Or, to_sql
from esker.testing import FLOATS, INTEGERS, STRINGS, TEMPORAL

OPS = ("=", "!=", "<", "<=", ">", ">=")
# DuckDB's clock has microseconds and one zone; 256-bit decimals, float16 and durations it has not, or not so.
TYPES = (
    pa.bool_(),
    *INTEGERS,
    *FLOATS,
    *FLOATS,
    pa.decimal128(4, 1),
    pa.decimal128(18, 3),
    pa.decimal128(38, 10),
    *(
        type_
        for type_ in TEMPORAL
        if pa.types.is_date(type_) or (pa.types.is_timestamp(type_) and (type_.unit != "ns" or type_.tz is None))
    ),
    pa.time64("us"),
    *STRINGS,
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.binary(),
    pa.binary(3),
)
_TEXTS = ["", "a", "A", "ab", "é", "É", "a%b", "a_b", "a\\b", "a\nb", "%", "beyond any inline view, that is", "it's"]
_PATTERNS = ["", "%", "_", "a%", "%b", "a_b", "A%", "é", "a\\%b", "a\\_b", "%\\\\%", "%n%", "__", "%a%b%", "it's%"]


def cases(seed: int) -> tuple[pa.RecordBatch, Expression]:
    """A batch, and a tree whose constants have the types of the columns they meet."""
    chance = random.Random(seed)
    types = [chance.choice(TYPES) for _ in range(chance.randint(1, 4))]
    types.append(chance.choice(types))  # two of a type, to compare with each other
    size = chance.choice([0, 1, 30, 30, 30])
    columns = [column(chance, type_, size) for type_ in types]
    batch = pa.RecordBatch.from_arrays(columns, names=[chr(97 + number) for number in range(len(types))])
    return batch, tree(chance, batch.schema, 3)


def column(chance: random.Random, type_: pa.DataType, size: int) -> pa.Array:
    values = pool(plain_type(type_))
    cells = [chance.choice(values) if chance.random() < 0.8 else None for _ in range(size + 2)]
    return array(cells, plain_type(type_)).cast(type_).slice(2)


def tree(chance: random.Random, schema: pa.Schema, depth: int) -> Expression:
    shape = chance.random()
    if depth == 0 or shape < 0.3:
        return leaf(chance, schema)
    if shape < 0.45:
        return Not(tree(chance, schema, depth - 1))
    parts = tuple(tree(chance, schema, depth - 1) for _ in range(chance.randint(2, 3)))
    return And(parts) if shape < 0.75 else Or(parts)


def leaf(chance: random.Random, schema: pa.Schema) -> Expression:
    field = chance.choice(list(schema))
    name, type_ = Column(field.name), plain_type(field.type)
    kinds = ["compare", "compare", "mirrored", "columns", "in", "in", "null"]
    kinds += ["like", "like"] if pa.types.is_string(type_) or pa.types.is_large_string(type_) else []
    kinds += ["bare"] if pa.types.is_boolean(type_) else []
    kind, op = chance.choice(kinds), chance.choice(OPS)
    if kind == "compare":
        return Compare(op, name, constant(chance, type_))
    if kind == "mirrored":
        return Compare(op, constant(chance, type_), name)
    if kind == "columns":
        alike = [other.name for other in schema if plain_type(other.type) == type_]
        return Compare(op, name, Column(chance.choice(alike)))
    if kind == "in":
        return InList(name, tuple(constant(chance, type_) for _ in range(chance.randint(1, 4))))
    if kind == "like":
        return Like(name, chance.choice(_PATTERNS), chance.random() < 0.5)
    return IsNull(name) if kind == "null" else name


def constant(chance: random.Random, type_: pa.DataType) -> Literal:
    value = chance.choice(pool(type_)) if chance.random() < 0.9 else None
    return Literal(array([value], type_)[0])


def pool(type_: pa.DataType) -> list[Any]:
    """Values of a type: extremes, neighbours, and what compares oddly."""
    if pa.types.is_boolean(type_):
        return [True, False]
    if pa.types.is_integer(type_):
        limits = np.iinfo(type_.to_pandas_dtype())
        return [int(limits.min), int(limits.min) + 1, 0, 1, 2, 3, int(limits.max) - 1, int(limits.max)]
    if pa.types.is_floating(type_):
        return [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, 1.5, -1e30, 2.0**-20]
    if pa.types.is_decimal(type_):
        top = 10**type_.precision - 1
        return [_decimal(ticks, type_.scale) for ticks in (-top, -1, 0, 1, 10, 15, top)]
    if pa.types.is_time(type_):
        return [0, 1, 43_200_000_000, 86_399_999_999]
    if pa.types.is_date(type_):
        step = 86_400_000 if type_ == pa.date64() else 1
        return [day * step for day in (-719_162, -1, 0, 1, 15_706, 2_932_896)]
    if pa.types.is_timestamp(type_):
        second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[type_.unit]
        return [-1, 0, 1, second, 1_370_044_800 * second, 1_370_044_800 * second + 1, -2_000_000_000 * second]
    if pa.types.is_fixed_size_binary(type_):
        return [b"abc", b"\x00\x00\x00", b"\xff'\\"]
    return [text.encode() for text in _TEXTS] + [b"\x00", b"\xff"] if pa.types.is_binary(type_) else _TEXTS


def array(cells: Sequence[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_temporal(type_):
        return pa.array(cells, pa.int64() if type_.bit_width == 64 else pa.int32()).cast(type_)
    return pa.array(cells, type_)


def _decimal(ticks: int, scale: int) -> Decimal:
    return Decimal((int(ticks < 0), tuple(int(digit) for digit in str(abs(ticks))), -scale))


def connect() -> Any:
    """A DuckDB in UTC with no threads of its own."""
    found = duckdb.connect(config={"threads": 1})
    found.execute("SET TimeZone = 'UTC'")
    return found


def answer(connection: Any, batch: pa.RecordBatch, expression: Expression | str) -> list[bool | None]:
    """What DuckDB says of each row."""
    columns = [found.cast(plain_type(found.type)) for found in batch.columns]
    rows = pa.table([*columns, pa.array(range(batch.num_rows), pa.int64())], names=[*batch.schema.names, "row number"])
    text = expression if isinstance(expression, str) else to_sql(expression)
    connection.register("rows_of_test", rows)
    try:
        found = connection.execute(f'SELECT ({text})::BOOLEAN FROM rows_of_test ORDER BY "row number"').fetchall()
    finally:
        connection.unregister("rows_of_test")
    return [row[0] for row in found]
