"""Random predicate trees on random tables: index, then check, gives DuckDB's rows."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from unittest import mock

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from esker.core.context import QueryContext
from esker.core.row_set import RowSet
from esker.expression import (
    And,
    Column,
    Compare,
    Expression,
    InList,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    columns,
    evaluate,
    walk,
)
from esker.index import (
    Bins,
    BitSliced,
    Equality,
    Index,
    Interval,
    Range,
    TimeQuantum,
    build_index,
    segment_file,
    sorted_build,
)

DAY = datetime(2013, 7, 1, tzinfo=UTC)
# Few values, so that conditions meet; the extremes of floats, and both zeros.
VALUES = {
    "i": [*range(-3, 6), 120],
    "u": [0, 1, 2, 255],
    "f": [-1.5, -0.0, 0.0, 0.5, 2.0, float("nan"), float("inf"), float("-inf")],
    "s": ["", "JFK", "EWR", "jfk", "LGA" * 10],
    "d": [Decimal("-1.50"), Decimal("0.00"), Decimal("2.25"), Decimal("99.99")],
    "t": [DAY + timedelta(hours=hours) for hours in (-30, 0, 1, 24, 47)],
    "y": [date(2013, 6, 30), date(2013, 7, 1), date(2020, 2, 29)],
    "b": [True, False],
    "x": [0, 1, 2],
    "w": [0, 1, 2],
}
SCHEMA = pa.schema(
    {
        "i": pa.int32(),
        "u": pa.uint8(),
        "f": pa.float64(),
        "s": pa.string(),
        "d": pa.decimal128(9, 2),
        "t": pa.timestamp("us", "UTC"),
        "y": pa.date32(),
        "b": pa.bool_(),
        "x": pa.int64(),  # these two are never indexed
        "w": pa.int64(),
    }
)
SPECS = {
    "i": [
        Equality(), Range(), Interval(), BitSliced(), Bins([0, 2, 4]), Bins([1]), Bins.quantile(3), Bins.equal_width(4),
        Bins([0, 2, 4], layout="range"), Bins.equal_width(5, layout="interval"), None,
    ],
    "u": [Equality(), Bins([0, 2]), Bins([255]), BitSliced(), Interval()],
    "f": [
        Equality(), Range(), Bins([0.0, 2.0]), Bins([float("-inf"), 0.5, float("inf")], layout="range"),
        Bins.equal_width(3), None,
    ],
    "s": [Equality(), Bins(["F", "K"]), Interval(), Range()],
    "d": [Equality(), BitSliced(), Bins([Decimal("0.00"), Decimal("2.25")]), Bins.equal_width(4), Interval()],
    "t": [
        Equality(), BitSliced(), TimeQuantum("hour"), TimeQuantum("month"), Bins([DAY, DAY + timedelta(days=1)]),
        Bins.equal_width(6),
    ],
    "y": [Equality(), BitSliced(), TimeQuantum(), TimeQuantum("year"), Bins([date(2013, 7, 1)]), Range()],
    "b": [Equality(), BitSliced(), Range(), None],
}  # fmt: skip
SQL_TYPES = {"i": "INTEGER", "u": "UTINYINT", "f": "DOUBLE", "s": "VARCHAR", "d": "DECIMAL(9,2)", "t": "TIMESTAMPTZ",
             "y": "DATE", "b": "BOOLEAN", "x": "BIGINT", "w": "BIGINT"}  # fmt: skip
NOT_FINITE = (float("inf"), float("-inf"))
Predicate = tuple[Expression, str]


def rows_of_values(least: int) -> st.SearchStrategy[list[dict[str, object]]]:
    one = st.fixed_dictionaries({name: st.none() | st.sampled_from(values) for name, values in VALUES.items()})
    return st.lists(one, min_size=least, max_size=90)


def literal(column: str) -> st.SearchStrategy[tuple[Literal, str]]:
    def both(value: object) -> tuple[Literal, str]:
        text = "NULL" if value is None else f"'{value}'"
        return Literal(pa.scalar(value, SCHEMA.field(column).type)), f"CAST({text} AS {SQL_TYPES[column]})"

    return (st.sampled_from([*VALUES[column]] * 3 + [None])).map(both)


@st.composite
def leaves(draw: st.DrawFn) -> Predicate:
    name = draw(st.sampled_from(list(VALUES)))
    column = Column(name)
    kind = draw(
        st.sampled_from(["compare", "compare", "mirrored", "in", "null", "between", "columns", "constant", "like"])
    )
    op = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
    first, first_sql = draw(literal(name))
    second, second_sql = draw(literal(name))
    if kind == "compare":
        return Compare(op, column, first), f"{name} {op} {first_sql}"
    if kind == "mirrored":
        return Compare(op, first, column), f"{first_sql} {op} {name}"
    if kind == "in":
        return InList(column, (first, second)), f"{name} IN ({first_sql}, {second_sql})"
    if kind == "between":
        both = And((Compare(">=", column, first), Compare("<=", column, second)))
        return both, f"{name} BETWEEN {first_sql} AND {second_sql}"
    if kind == "like":
        pattern = draw(st.sampled_from(["J%", "%K", "LGAL%A", "", "j_k", "JFK%"]))
        return Like(Column("s"), pattern), f"s LIKE '{pattern}'"
    if kind == "columns":
        return Compare(op, Column("x"), Column("w")), f"x {op} w"
    if kind == "constant":
        value = draw(st.sampled_from([True, False, None]))
        return Literal(pa.scalar(value, pa.bool_())), f"CAST({'NULL' if value is None else value} AS BOOLEAN)"
    return IsNull(column), f"{name} IS NULL"


def nodes(inner: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        several.map(lambda parts: (And(tuple(p[0] for p in parts)), "(" + " AND ".join(p[1] for p in parts) + ")")),
        several.map(lambda parts: (Or(tuple(p[0] for p in parts)), "(" + " OR ".join(p[1] for p in parts) + ")")),
        inner.map(lambda part: (Not(part[0]), f"(NOT {part[1]})")),
    )


PREDICATES = st.recursive(leaves(), nodes, max_leaves=7)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connected:
        connected.execute("SET TimeZone = 'UTC'")
        yield connected


def duckdb_rows(connection: duckdb.DuckDBPyConnection, table: pa.Table, predicate: str) -> list[int]:
    # Copied in, because a scan of an Arrow table would push filters down to Arrow, which orders NaN otherwise.
    numbered = table.append_column("row", pa.array(range(table.num_rows), pa.int64()))
    connection.register("numbered", numbered)
    connection.execute("CREATE OR REPLACE TEMP TABLE kept AS SELECT * FROM numbered")
    return [row for (row,) in connection.execute(f"SELECT row FROM kept WHERE {predicate} ORDER BY row").fetchall()]


def checked(rows: RowSet, residual: Expression | None, table: pa.Table) -> list[int]:
    """Apply what the index left to check."""
    found = rows.to_numpy()
    if residual is None or not len(found):
        return found.tolist()
    batch = table.take(pa.array(found)).combine_chunks().to_batches()[0]
    return found[evaluate(residual, batch).fill_null(False).to_numpy(zero_copy_only=False)].tolist()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=rows_of_values(1),
    specs=st.fixed_dictionaries({name: st.sampled_from(choices) for name, choices in SPECS.items()}),
    predicates=st.lists(PREDICATES, min_size=3, max_size=8),
    cut=st.integers(0, 90),
    values_in_memory=st.sampled_from([3, 1 << 16]),
    block_vectors=st.sampled_from([2, 5, 4096]),
)
def test_index_then_check_gives_the_rows_of_duckdb(
    connection, values, specs, predicates, cut, values_in_memory, block_vectors
):
    table = pa.Table.from_pylist(values, schema=SCHEMA)
    chosen = {name: spec for name, spec in specs.items() if spec is not None}
    for name in [name for name, spec in chosen.items() if isinstance(spec, Bins) and (spec.quantiles or spec.width)]:
        if all(row[name] is None or row[name] != row[name] or row[name] in NOT_FINITE for row in values):
            del chosen[name]  # no values to place edges by
    batches = [*table.slice(0, cut).to_batches(), *table.slice(cut).to_batches()]
    with (
        tempfile.TemporaryDirectory() as folder,
        QueryContext() as context,
        # Few values are many: they go through the shuffle, and the directory has several blocks.
        mock.patch.object(sorted_build, "VALUES_IN_MEMORY", values_in_memory),
        mock.patch.object(segment_file, "BLOCK_VECTORS", block_vectors),
    ):
        infos = build_index(batches, table.num_rows, chosen, Path(folder), context=context)
        with Index.open(Path(folder), infos, table.num_rows) as index:
            index.validate()
            for tree, text in predicates:
                answer = index.evaluate(tree)
                expected = duckdb_rows(connection, table, text)
                assert set(expected) <= set(answer.rows.to_numpy().tolist()), f"a row is lost: {text}"
                assert checked(answer.rows, answer.residual, table) == expected, text


@given(values=rows_of_values(1), predicate=PREDICATES)
def test_equality_on_every_column_leaves_nothing_to_check(values, predicate):
    assume(not any(columns(node) == {"x", "w"} for node in walk(predicate[0]) if isinstance(node, Compare)))
    table = pa.Table.from_pylist(values, schema=SCHEMA)
    specs = {name: Equality() for name in SCHEMA.names}
    with tempfile.TemporaryDirectory() as folder, QueryContext() as context:
        infos = build_index(table.to_batches(), table.num_rows, specs, Path(folder), context=context)
        with Index.open(Path(folder), infos) as index:
            answer = index.evaluate(predicate[0])
    batch = table.combine_chunks().to_batches()[0]
    expected = pc.indices_nonzero(evaluate(predicate[0], batch).fill_null(False)).to_pylist()
    assert answer.exact
    assert answer.rows.to_numpy().tolist() == expected
