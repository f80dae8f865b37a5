"""`group_by(...).agg(...)` gives what DuckDB gives, whatever the types, the budget and the threads."""

from __future__ import annotations

import decimal
import math

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import esker
from esker.errors import InputError, MemoryBudgetExceededError, OptionError, UnknownColumnError, UnsupportedTypeError
from tests.unit.collection.wide import rows_of, wide_table

TABLE = wide_table(400, seed=1)
NUMBERS = ["i8", "i16", "u8", "u16", "u32", "f32", "f64", "money", "flag"]
KEYS = [["k"], ["s"], ["f64"], ["k", "s"], ["money"], ["moment"], ["flag", "bytes"]]


def duck(sql: str, **tables: pa.Table) -> pa.Table:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, table in ({"t": TABLE} | tables).items():
        connection.register(name, table)
    return connection.sql(sql).to_arrow_table()


def unsigned_zeros(table: pa.Table) -> pa.Table:
    """0.0 for -0.0: DuckDB's ordered aggregates lose the sign."""
    columns = [pc.add(one, pa.scalar(0, one.type)) if pa.types.is_floating(one.type) else one for one in table.columns]
    return pa.table(columns, names=table.column_names)


def close(found: list[object], expected: list[object]) -> bool:
    """Equal rows, floats to ten digits: additions come in another order."""
    return len(found) == len(expected) and all(
        math.isclose(one, other, rel_tol=1e-10) or (math.isnan(one) and math.isnan(other))
        if isinstance(one, float) and isinstance(other, float)
        else one == other
        for one, other in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("by", KEYS)
def test_counts_and_firsts_of_every_type_are_those_of_duckdb(by: list[str], threads: int) -> None:
    names = [name for name in TABLE.column_names if name not in ("id", *by)]
    asked = {f"{how}_{name}": (name, how) for name in names for how in ("count", "first", "last")}
    found = esker.from_arrow(TABLE).group_by(by, partitions=8).agg({"id": ("id", "min")} | asked)
    words = [f"{how}({name} ORDER BY t.id) AS {output}" for output, (name, how) in asked.items()]
    keys = ", ".join(f"first({name} ORDER BY t.id) AS {name}" for name in by)
    expected = duck(
        f"SELECT {keys}, min(t.id) AS id, {', '.join(words)} FROM t GROUP BY {', '.join(f't.{n}' for n in by)}"
    )
    rows = found.with_options(threads=threads).to_arrow()
    assert rows_of(unsigned_zeros(rows)) == rows_of(unsigned_zeros(expected))


@pytest.mark.parametrize("name", [name for name in TABLE.column_names if name != "id"])
def test_extremes_and_distinct_counts_are_those_of_duckdb(name: str) -> None:
    asked = {how: (name, how) for how in ("min", "max")}
    rows = esker.from_arrow(TABLE).group_by("k", partitions=4).agg(asked | {"n": ("id", "count")})
    assert rows.schema.field("min").type == TABLE.schema.field(name).type
    expected = duck(f"SELECT k, min({name}) AS min, max({name}) AS max, count(*) AS n FROM t GROUP BY k ORDER BY k")
    found = rows.sort("k").to_arrow()
    for column in expected.column_names:
        assert close(found[column].to_pylist(), expected[column].to_pylist())
    distinct = esker.from_arrow(TABLE).group_by("s").agg({"d": (name, "count_distinct")})
    assert rows_of(distinct.to_arrow()) == rows_of(duck(f"SELECT s, count(DISTINCT {name}) AS d FROM t GROUP BY s"))


@pytest.mark.parametrize("with_distinct", [False, True])
def test_len_counts_rows_and_nulls_among_them(with_distinct: bool) -> None:
    asked = {"rows": ("k", "len"), "n": ("k", "count")} | ({"d": ("id", "count_distinct")} if with_distinct else {})
    rows = esker.from_arrow(TABLE).group_by("k").agg(asked).select(["k", "rows", "n"]).to_arrow()
    assert rows_of(rows) == rows_of(duck("SELECT k, count(*) AS rows, count(k) AS n FROM t GROUP BY k"))


@pytest.mark.parametrize("with_distinct", [False, True])
@pytest.mark.parametrize("name", NUMBERS)
def test_sums_and_means_are_those_of_duckdb(name: str, with_distinct: bool) -> None:
    finite = TABLE.filter(pa.array([row is None or not math.isinf(row) for row in TABLE["f64"].to_pylist()]))
    asked = {"sum": (name, "sum"), "mean": (name, "mean")} | ({"d": ("id", "count_distinct")} if with_distinct else {})
    found = esker.from_arrow(finite).group_by("s").agg(asked).sort("s").to_arrow()
    value = f"{name}::INT" if name == "flag" else name
    expected = duck(f"SELECT sum({value}) AS sum, avg({value}) AS mean FROM f GROUP BY s ORDER BY s", f=finite)
    assert close(found["sum"].to_pylist(), expected["sum"].to_pylist())
    assert close(found["mean"].to_pylist(), expected["mean"].to_pylist())


def test_the_types_are_those_that_the_docstring_names() -> None:
    asked = {name: (name, "sum") for name in ("i8", "u32", "f32", "money", "flag")}
    schema = esker.from_arrow(TABLE).group_by("k").agg(asked | {"mean": ("i8", "mean")}).schema
    types = [pa.int64(), pa.int64(), pa.float64(), pa.decimal128(38, 2), pa.int64(), pa.float64()]
    assert schema.types == [pa.int32(), *types]


def test_a_sum_that_does_not_fit_is_an_error_and_not_a_wrong_number() -> None:
    large = esker.from_arrow(pa.table({"k": [1, 1, 2], "v": pa.array([2**62, 2**62, 2**63 - 1], pa.int64())}))
    with pytest.raises(InputError, match="'total': a sum of 'v' does not fit int64"):
        large.group_by("k").agg({"total": ("v", "sum")}).to_arrow()
    assert large.group_by("k").agg({"mean": ("v", "mean")}).sort("k").to_arrow()["mean"].to_pylist() == [
        2.0**62,
        2.0**63,
    ]


@pytest.mark.parametrize("precision", [28, 38])
def test_sums_of_decimals_are_exact(precision: int) -> None:
    value = decimal.Decimal("9" * precision)
    table = pa.table({"k": [1, 1, 1], "v": pa.array([value, value, value.copy_negate()], pa.decimal128(precision, 0))})
    grouped = esker.from_arrow(table).group_by("k")
    assert grouped.agg({"sum": ("v", "sum")}).to_arrow()["sum"].to_pylist() == [value]
    twice = esker.from_arrow(table.slice(0, 2)).group_by("k").agg({"sum": ("v", "sum")})
    if precision == 28:
        with decimal.localcontext(prec=50):
            assert twice.to_arrow()["sum"].to_pylist() == [2 * value]
    else:
        with pytest.raises(InputError, match="does not fit decimal128"):
            twice.to_arrow()


def test_nan_is_above_all_numbers_and_nulls_are_left_out() -> None:
    nan = math.nan
    values = pa.table({"k": [1, 1, 1, 2, 2, 3, 4, 4], "v": [nan, -1.5, None, nan, nan, None, -math.inf, -2.0]})
    for type_ in (pa.float64(), pa.float32(), pa.float16()):
        typed = values.set_column(1, "v", values["v"].cast(type_))
        found = (
            esker.from_arrow(typed).group_by("k").agg({"min": ("v", "min"), "max": ("v", "max")}).sort("k").to_arrow()
        )
        assert found.schema.field("max").type == type_
        assert str(found["min"].to_pylist()) == "[-1.5, nan, None, -inf]"
        assert str(found["max"].to_pylist()) == "[nan, nan, None, -2.0]"


@pytest.mark.parametrize("threads", [1, 4])
def test_a_key_with_more_rows_than_the_budget_is_aggregated(threads: int) -> None:
    row_count = 1_000_000
    table = pa.table({"k": np.arange(row_count) % 2, "v": np.arange(row_count), "text": ["x" * 64] * row_count})
    asked = {"sum": ("v", "sum"), "last": ("v", "last"), "text": ("text", "max")}
    rows = esker.from_arrow(table).group_by("k").agg(asked).sort("k").with_options(memory="64MiB", threads=threads)
    half = row_count // 2
    assert rows.to_arrow().to_pylist() == [
        {"k": 0, "sum": half * (half - 1), "last": row_count - 2, "text": "x" * 64},
        {"k": 1, "sum": half * half, "last": row_count - 1, "text": "x" * 64},
    ]


@pytest.mark.parametrize("threads", [1, 4])
def test_more_groups_than_the_budget_are_aggregated(threads: int) -> None:
    group_count = 500_000
    keys = np.random.default_rng(3).permutation(group_count)
    table = pa.table({"k": keys, "text": pa.array([f"{key:064d}" for key in keys])})
    rows = esker.from_arrow(pa.concat_tables([table, table])).group_by("k", partitions=16)
    counted = rows.agg({"n": ("text", "count"), "text": ("text", "first")})
    found = np.zeros(group_count, np.int64)
    for batch in counted.with_options(memory="16MiB", threads=threads):
        found[batch["k"].to_numpy()] += batch["n"].to_numpy()
    assert (found == 2).all()


def test_distinct_values_of_one_key_that_do_not_fit_name_the_key() -> None:
    table = pa.table({"k": np.full(1_000_000, 7), "v": np.arange(1_000_000)})
    counted = esker.from_arrow(table).group_by("k").agg({"n": ("v", "count_distinct")})
    with pytest.raises(MemoryBudgetExceededError, match="7"):
        counted.to_arrow(memory="16MiB", threads=1)
    assert counted.to_arrow()["n"].to_pylist() == [1_000_000]


def test_no_rows_have_no_groups() -> None:
    empty = esker.from_arrow(TABLE.slice(0, 0)).group_by("k")
    assert empty.agg({"n": ("id", "count_distinct"), "sum": ("f64", "sum")}).count() == 0
    assert empty.agg({"sum": ("id", "sum"), "mean": ("f64", "mean")}).count() == 0


def test_explain_says_the_functions() -> None:
    text = str(esker.from_arrow(TABLE).group_by("k").agg({"n": ("i8", "mean")}).explain())
    assert "aggregate" in text and "mean(i8)" in text and "shuffle" in text


def test_what_cannot_be_aggregated_is_named() -> None:
    grouped = esker.from_arrow(TABLE).group_by("k")
    with pytest.raises(UnsupportedTypeError, match="'n': there is no sum of 's', a column of type string"):
        grouped.agg({"n": ("s", "sum")})
    with pytest.raises(UnknownColumnError, match="i9"):
        grouped.agg({"n": ("i9", "sum")})
    with pytest.raises(OptionError, match="'median'; there is: sum, min"):
        grouped.agg({"n": ("i8", "median")})
    with pytest.raises(OptionError, match="'k' is a key"):
        grouped.agg({"k": ("i8", "sum")})
    with pytest.raises(OptionError, match='give \\("column", "function"\\)'):
        grouped.agg({"n": "i8"})  # type: ignore[dict-item]
    with pytest.raises(OptionError, match="agg names no column"):
        grouped.agg({})
