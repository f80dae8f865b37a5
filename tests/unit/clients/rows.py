"""Rows of every type that clients filter by, with nulls, NaN and ties; and predicates on them in the clients' words."""

from __future__ import annotations

import datetime as dt
import math
import random
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import strategies as st

COUNT = 1_500
START = dt.datetime(2013, 1, 1)  # noqa: DTZ001  # SQL timestamps have no zone
WORDS = ["", "Ann", "ann", "Bo", "Böla", "Zoë", "5", "05", "-1", "x%y", "a\\b", "2013-06-01", "日本"]
FLOATS = [0.0, -0.0, 1.5, -2.25, math.inf, -math.inf, math.nan, 1e300, 0.1]

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("n", pa.int32()),
        ("u", pa.uint8()),
        ("f", pa.float64()),
        ("g", pa.float32()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("t", pa.timestamp("us")),
        ("d", pa.date32()),
        ("m", pa.decimal128(9, 2)),
        ("text", pa.string()),
    ]
)


def table() -> pa.Table:
    """The same rows each time."""
    chance = random.Random(20140)

    def maybe(value: Any) -> Any:
        return None if chance.random() < 0.1 else value

    return pa.Table.from_pylist(
        [
            {
                "id": number,
                "n": maybe(chance.randrange(-20, 20)),
                "u": maybe(chance.choice([0, 1, 7, 200, 255])),
                "f": maybe(chance.choice(FLOATS)),
                "g": maybe(chance.choice([0.0, 0.5, -1.5, 0.1, math.nan, math.inf])),
                "s": maybe(chance.choice(WORDS)),
                "b": maybe(chance.random() < 0.3),
                "t": maybe(
                    START + dt.timedelta(hours=chance.randrange(200), microseconds=chance.choice([0, 0, 500_000]))
                ),
                "d": maybe((START + dt.timedelta(days=chance.randrange(60))).date()),
                "m": maybe(Decimal(chance.randrange(-300, 300)) / 100),
                "text": f"row {number}",
            }
            for number in range(COUNT)
        ],
        SCHEMA,
    )


# What a column is compared with.
CONSTANTS: dict[str, st.SearchStrategy[Any]] = {
    "n": st.one_of(st.integers(-22, 22), st.sampled_from([-3.5, 7.0, 2**40])),
    "u": st.one_of(st.sampled_from([0, 1, 7, 8, 200, 255])),
    "f": st.sampled_from(FLOATS),
    "g": st.sampled_from([0.0, 0.5, 0.1, -1.5, 1.0]),
    "s": st.sampled_from([*WORDS, "B", "a", "~"]),
    "b": st.booleans(),
    "t": st.integers(-5, 205).map(lambda hours: START + dt.timedelta(hours=hours)),
    "d": st.integers(-2, 62).map(lambda days: (START + dt.timedelta(days=days)).date()),
    "m": st.integers(-310, 310).map(lambda cents: Decimal(cents) / 100),
}
# Polars takes no list of floating numbers for a column of whole ones.
MEMBERS = {**CONSTANTS, "n": st.integers(-22, 22)}
OPS = ["=", "!=", "<", "<=", ">", ">="]
Tree = tuple[Any, ...]


def trees(columns: list[str]) -> st.SearchStrategy[Tree]:
    """Predicates: ("compare", column, op, constant), ("in", column, constants), ("null", column), and/or/not."""
    column = st.sampled_from(columns)
    leaves = st.one_of(
        column.flatmap(
            lambda name: st.tuples(st.just("compare"), st.just(name), st.sampled_from(OPS), CONSTANTS[name])
        ),
        column.flatmap(
            lambda name: st.tuples(st.just("in"), st.just(name), st.lists(MEMBERS[name], min_size=1, max_size=4))
        ),
        column.map(lambda name: ("null", name)),
    )
    return st.recursive(
        leaves,
        lambda below: st.one_of(
            st.tuples(st.just("and"), below, below),
            st.tuples(st.just("or"), below, below),
            st.tuples(st.just("not"), below),
        ),
        max_leaves=5,
    )


def to_polars(tree: Tree) -> pl.Expr:
    """The predicate as a Polars expression."""
    kind = tree[0]
    if kind == "compare":
        return _compared(pl.col(tree[1]), tree[2], tree[3])
    if kind == "in":
        return pl.col(tree[1]).is_in(tree[2])
    if kind == "null":
        return pl.col(tree[1]).is_null()
    if kind == "not":
        return ~to_polars(tree[1])
    left, right = to_polars(tree[1]), to_polars(tree[2])
    return left & right if kind == "and" else left | right


def to_pyarrow(tree: Tree) -> pc.Expression:
    """The predicate as a pyarrow expression."""
    kind = tree[0]
    if kind == "compare":
        return _compared(pc.field(tree[1]), tree[2], _scalar(tree[1], tree[3]))
    if kind == "in":
        return pc.field(tree[1]).isin(
            pa.array([_scalar(tree[1], value).as_py() for value in tree[2]], _type(tree[1], tree[2]))
        )
    if kind == "null":
        return pc.field(tree[1]).is_null()
    if kind == "not":
        return ~to_pyarrow(tree[1])
    left, right = to_pyarrow(tree[1]), to_pyarrow(tree[2])
    return left & right if kind == "and" else left | right


def to_sql(tree: Tree) -> str:
    """The predicate as SQL that DuckDB reads."""
    kind = tree[0]
    if kind == "compare":
        return f"({tree[1]} {tree[2]} {_literal(tree[3])})"
    if kind == "in":
        return f"({tree[1]} IN ({', '.join(map(_literal, tree[2]))}))"
    if kind == "null":
        return f"({tree[1]} IS NULL)"
    if kind == "not":
        return f"(NOT {to_sql(tree[1])})"
    return f"({to_sql(tree[1])} {kind.upper()} {to_sql(tree[2])})"


def same(found: pa.Table, wanted: pa.Table) -> bool:
    """Whether types and rows are equal, where NaN is itself and 0.0 is not -0.0."""
    return found.schema == wanted.schema and repr(found.to_pylist()) == repr(wanted.to_pylist())


def _compared(left: Any, op: str, right: Any) -> Any:
    return {
        "=": lambda: left == right,
        "!=": lambda: left != right,
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        ">": lambda: left > right,
        ">=": lambda: left >= right,
    }[op]()


def _type(name: str, values: list[Any]) -> pa.DataType:
    type_ = SCHEMA.field(name).type
    if pa.types.is_integer(type_):
        return pa.float64() if any(isinstance(value, float) for value in values) else pa.int64()
    return type_


def _scalar(name: str, value: Any) -> pa.Scalar:
    return pa.scalar(value, _type(name, [value]))


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and not math.isfinite(value):
        return f"'{value}'::DOUBLE"
    if isinstance(value, float):
        return f"{value!r}::DOUBLE"
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value}'"
    if isinstance(value, dt.date):
        return f"DATE '{value}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)
