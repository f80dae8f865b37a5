from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import esker
from esker.clients import sqlite
from esker.clients.sqlite_values import affinity, sqlite_values
from esker.core.explanation import Explanation
from esker.errors import CostLimitError, InputError, OptionError

from .rows import WORDS

FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NUMBERS = ["-3", "0", "1", "7", "200", "0.5", "0.1", "-2.25", "1.5", "9e999", "'5'", "'-1'"]
TEXTS = [*("'" + word + "'" for word in WORDS), "'B'", "'~'", "'9'", "5", "X'41'"]
TIMES = ["'2013'", "'2013-01'", "'2013-01-05'", "'2013-01-05 07'", "'2013-01-05 07:00'", "'2013-01-05 07:00:00'",
         "'2013-01-05 07:00:00.5'", "'2013-01-05 07:00:00.50'", "'2013-01-05T07:00:00'", "'2013-1'", "''", "'z'",
         "2013", "'2013-02-30'", "'2013-01-05 07:00:00.0000001'"]  # fmt: skip
CONSTANTS = {
    "n": NUMBERS, "u": NUMBERS, "f": NUMBERS, "g": NUMBERS, "m": [*NUMBERS, "1.23", "-0.52"],
    "b": [*NUMBERS, "TRUE", "FALSE"], "s": TEXTS, "t": TIMES, "d": TIMES, "rowid": ["-1", "5", "700", "2000", "5.5"],
}  # fmt: skip
OPS = ["=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"]


def conditions() -> st.SearchStrategy[str]:
    column = st.sampled_from(sorted(CONSTANTS))

    def constant(name: str) -> st.SearchStrategy[str]:
        return st.sampled_from([*CONSTANTS[name], "NULL"])

    def one(name: str) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds(lambda op, value: f"{name} {op} {value}", st.sampled_from(OPS), constant(name)),
            st.lists(constant(name), min_size=1, max_size=4).map(lambda values: f"{name} IN ({', '.join(values)})"),
            st.builds(lambda low, high: f"{name} BETWEEN {low} AND {high}", constant(name), constant(name)),
            st.sampled_from([f"{name} ISNULL", f"{name} NOTNULL"]),
        )

    patterns = ["s LIKE 'an%'", "s LIKE 'a\\%'", "s LIKE 'ann'", "s GLOB 'B*'", "s GLOB 'A?n'", "n LIKE '1%'",
                "s = 'ANN' COLLATE NOCASE", "length(s) = 3"]  # fmt: skip
    leaves = st.one_of(column.flatmap(one), column.flatmap(one), st.sampled_from(patterns))
    return st.recursive(
        leaves,
        lambda below: st.one_of(
            st.builds(lambda left, op, right: f"({left} {op} {right})", below, st.sampled_from(["AND", "OR"]), below),
            below.map(lambda inner: f"(NOT {inner})"),
        ),
        max_leaves=4,
    )


@pytest.fixture(scope="session")
def connections(plain: pa.Table, frozen: Path, indexed: Path) -> dict[str, apsw.Connection]:
    """For each source a connection with the rows as SQLite's own table `own`, and as ours, `rows`."""
    found = {}
    for kind, source in {"frozen": frozen, "indexed": indexed, "table": plain}.items():
        found[kind] = connected(source, plain)
    return found


def connected(source: object, plain: pa.Table) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    own_table(connection, "own", plain)
    sqlite.register(connection, "rows", source)
    return connection


def own_table(connection: apsw.Connection, name: str, table: pa.Table) -> None:
    fields = ", ".join(f'"{field.name}" {affinity(field.type)}' for field in table.schema)
    connection.execute(f"CREATE TABLE {name} ({fields})")
    columns = [sqlite_values(column.combine_chunks(), "x") for column in table.columns]
    marks = ", ".join("?" * len(columns))
    # Row ids of ours begin at 0.
    for number, row in enumerate(zip(*columns, strict=True)):
        connection.execute(
            f"INSERT INTO {name} (rowid, {', '.join(table.column_names)}) VALUES ({number}, {marks})", row
        )


@pytest.mark.parametrize("kind", ["frozen", "indexed", pytest.param("cluster", marks=pytest.mark.slow), "table"])
@FEW
@given(condition=conditions(), limit=st.sampled_from(["", " LIMIT 5", " LIMIT 3 OFFSET 4"]))
def test_a_query_gives_what_sqlite_gives_on_its_own_table(
    request: pytest.FixtureRequest, connections: dict[str, apsw.Connection], kind: str, condition: str, limit: str
) -> None:
    if kind not in connections:
        connections[kind] = connected(request.getfixturevalue(kind), request.getfixturevalue("plain"))
    run = connections[kind].execute
    query = f"SELECT rowid, * FROM {{}} WHERE {condition} ORDER BY rowid{limit}"
    wanted = run(query.format("own")).fetchall()
    assert run(query.format("rows")).fetchall() == wanted
    assert sorted(run(query.format("rows").replace(" ORDER BY rowid", "")).fetchall()) == wanted or limit
    if not limit:
        count = run(f"SELECT count(*) FROM rows WHERE {condition}").fetchall()
        assert count == [(len(wanted),)]


@FEW
@given(
    name=st.sampled_from(sorted(CONSTANTS)),
    op=st.sampled_from(OPS),
    value=st.one_of(
        st.none(), st.integers(-30, 300), st.floats(allow_nan=False), st.sampled_from(WORDS), st.binary(max_size=2)
    ),
)
def test_a_bound_parameter_is_a_constant_like_any(
    connections: dict[str, apsw.Connection], name: str, op: str, value: Any
) -> None:
    run = connections["frozen"].execute
    wanted = run(f"SELECT id FROM own WHERE {name} {op} ?", (value,)).fetchall()
    assert run(f"SELECT id FROM rows WHERE {name} {op} ?", (value,)).fetchall() == wanted


@pytest.mark.parametrize(
    "on", ["a.n = b.n", "a.s = b.s", "a.id = b.s", "a.s > b.s AND b.id < 20", "a.m = b.m", "a.d = b.d"]
)
def test_a_join_gives_what_sqlite_gives(connections: dict[str, apsw.Connection], on: str) -> None:
    run = connections["frozen"].execute
    query = f"SELECT a.id, b.id FROM {{0}} a JOIN {{1}} b ON {on} WHERE a.id < 12 ORDER BY 1, 2"
    wanted = run(query.format("own", "own")).fetchall()
    assert wanted
    for left, right in (("own", "rows"), ("rows", "own"), ("rows", "rows")):
        assert run(query.format(left, right)).fetchall() == wanted


@pytest.fixture
def told(frozen: Path) -> Iterator[tuple[apsw.Connection, list[Explanation]]]:
    plans: list[Explanation] = []
    connection = apsw.Connection(":memory:")
    sqlite.register(connection, "rows", frozen, on_scan=plans.append)
    yield connection, plans
    connection.close()


def test_the_index_is_asked_and_only_its_rows_are_fetched(
    told: tuple[apsw.Connection, list[Explanation]], plain: pa.Table
) -> None:
    connection, plans = told
    found = connection.execute("SELECT text FROM rows WHERE n = 3 AND s IN ('Ann', 'Bo')").fetchall()
    (plan,) = plans
    assert plan.detail["predicate"] == '"n" = 3 AND ("s" = \'Ann\' OR "s" = \'Bo\')'
    assert plan.detail["index_vectors"] == 3
    assert plan.detail["rows_fetched"] == len(found) < plain.num_rows / 20
    assert set(plan.detail["columns"]) == {"n", "s", "text"}


def test_an_or_over_two_columns_asks_the_index_for_each(told: tuple[apsw.Connection, list[Explanation]]) -> None:
    connection, plans = told
    found = connection.execute("SELECT id FROM rows WHERE n = 3 OR d = '2013-01-05'").fetchall()
    assert [plan.detail["predicate"] for plan in plans] == ['"n" = 3', "\"d\" = DATE '2013-01-05'"]
    assert sum(plan.detail["rows_fetched"] for plan in plans) >= len(found) > 0


def test_a_join_asks_the_index_for_the_key_of_each_row(told: tuple[apsw.Connection, list[Explanation]]) -> None:
    connection, plans = told
    connection.execute("CREATE TABLE few (k)")
    connection.execute("INSERT INTO few VALUES (3), (-7), (NULL)")
    connection.execute("SELECT count(*) FROM few JOIN rows ON n = k").fetchall()
    assert [plan.detail["predicate"] for plan in plans] == ['"n" = 3', '"n" = -7', "FALSE"]


def test_a_limit_reads_no_more_rows_than_it_keeps(told: tuple[apsw.Connection, list[Explanation]]) -> None:
    connection, plans = told
    assert len(connection.execute("SELECT text FROM rows WHERE n > 0 LIMIT 3 OFFSET 2").fetchall()) == 3
    assert plans[0].detail["rows_fetched"] == 5


def test_only_the_columns_asked_for_are_read(told: tuple[apsw.Connection, list[Explanation]]) -> None:
    connection, plans = told
    connection.execute("SELECT m FROM rows").fetchall()
    connection.execute("SELECT count(*) FROM rows").fetchall()
    assert [plan.detail["columns"] for plan in plans] == [["m"], []]


def test_the_plan_says_what_comes_down(told: tuple[apsw.Connection, list[Explanation]]) -> None:
    connection, _ = told
    query = "EXPLAIN QUERY PLAN SELECT * FROM rows WHERE n IN (1, 2) AND s >= 'B' LIMIT 4"
    (line,) = connection.execute(query).fetchall()
    assert line[3].endswith("n in, s >=, limit")


def test_every_arrow_type_has_a_value(tmp_path: Path) -> None:
    table = pa.table(
        {
            "u64": pa.array([2**63 - 1, None], pa.uint64()),
            "half": pa.array([np.float16(1.5), None], pa.float16()),
            "seen": pa.array([dt.datetime(2013, 6, 1, 7, tzinfo=dt.UTC), None], pa.timestamp("ns", "Europe/Vienna")),
            "at": pa.array([dt.time(7, 30, 0, 250_000), None], pa.time64("us")),
            "took": pa.array([dt.timedelta(seconds=90), None], pa.duration("ms")),
            "price": pa.array([Decimal("0.10"), None]),
            "bytes": pa.array([b"\0x", None], pa.binary(2)),
            "tags": pa.array([["a", "b"], None]),
            "nothing": pa.nulls(2),
            "word": pa.array(["x", None]).dictionary_encode(),
        }
    )
    connection = apsw.Connection(":memory:")
    sqlite.register(connection, "t", table)
    first, second = connection.execute("SELECT * FROM t").fetchall()
    assert first == (
        2**63 - 1, 1.5, "2013-06-01 07:00:00", "07:30:00.25", 90_000, 0.1, b"\0x", '["a", "b"]', None, "x",
    )  # fmt: skip
    assert second == (None,) * 10
    for condition in (
        "seen < '2013-06-02'",
        "at >= '07:30'",
        "took = 90000",
        "price = 0.1",
        "bytes = X'0078'",
        "word = 'x'",
    ):
        assert connection.execute(f"SELECT count(*) FROM t WHERE {condition}").fetchall() == [(1,)], condition


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([2**63], pa.uint64()), "2\\^63"),
        (pa.array([10**7], pa.date32()), "years 0 to 9999"),
        (pa.array([-(2**62)], pa.timestamp("us")), "years 0 to 9999"),
    ],
)
def test_what_sqlite_cannot_hold_is_an_error_that_names_the_column(values: pa.Array, message: str) -> None:
    with pytest.raises(InputError, match=f"'big'.*{message}"):
        sqlite_values(values, "big")


def test_what_cannot_be_a_table_is_said(frozen: Path) -> None:
    connection = apsw.Connection(":memory:")
    with pytest.raises(OptionError, match="freeze them first"):
        sqlite.register(connection, "t", esker.read(frozen).filter("n = 1"))
    with pytest.raises(InputError, match="'A'.*differs in case|'a'.*differs in case"):
        sqlite.register(connection, "t", {"a": [1], "A": [2]})
    sqlite.register(connection, "t", {"a": [1]})
    with pytest.raises(OptionError, match="'t' cannot be made"):
        sqlite.register(connection, "t", {"a": [1]})


def test_an_error_of_the_source_reaches_the_client(frozen: Path) -> None:
    connection = apsw.Connection(":memory:")
    sqlite.register(connection, 'a "name"', frozen, max_cost={"bytes": 1})
    with pytest.raises((CostLimitError, apsw.Error)):
        connection.execute('SELECT text FROM "a ""name"""').fetchall()
