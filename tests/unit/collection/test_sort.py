"""`sort` puts rows in DuckDB's order, whatever the types, the budget and the threads."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import esker
from esker.errors import OptionError, UnsupportedTypeError
from tests.unit.collection.wide import wide_table

TABLE = wide_table(400, seed=1)


def order_of_duckdb(by: list[str], descending: list[bool], nulls: str = "last") -> list[int]:
    words = [f"{name} {'DESC' if down else 'ASC'} NULLS {nulls}" for name, down in zip(by, descending, strict=True)]
    connection = duckdb.connect()
    connection.register("t", TABLE)
    return [row[0] for row in connection.execute(f"SELECT id FROM t ORDER BY {', '.join(words)}, id").fetchall()]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("name", [name for name in TABLE.column_names if name != "id"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("nulls", ["first", "last"])
def test_sort_puts_rows_in_the_order_of_duckdb(name: str, descending: bool, nulls: str, threads: int) -> None:
    rows = esker.from_arrow(TABLE).sort(name, descending, nulls=nulls).with_options(threads=threads).to_arrow()
    assert rows.schema.equals(TABLE.schema)
    assert rows["id"].to_pylist() == order_of_duckdb([name], [descending], nulls)


@pytest.mark.parametrize("nulls", ["first", "last"])
def test_each_column_may_have_its_own_direction(nulls: str) -> None:
    by, descending = ["f64", "s", "k"], [True, False, True]
    rows = esker.from_arrow(TABLE).sort(by, descending, nulls=nulls).select(["id"]).to_arrow()
    assert rows["id"].to_pylist() == order_of_duckdb(by, descending, nulls)


def test_nulls_are_first_in_runs_that_are_merged() -> None:
    row_count = 400_000
    keys = np.random.default_rng(5).integers(0, 1000, row_count)
    table = pa.table({"k": pa.array(keys, mask=keys < 100), "n": np.arange(row_count), "text": ["x" * 64] * row_count})
    rows = esker.from_arrow(table).sort("k", nulls="first").with_options(memory="16MiB")
    found = np.concatenate([batch["n"].to_numpy() for batch in rows])
    assert (found == np.argsort(np.where(keys < 100, -1, keys), kind="stable")).all()


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("descending", [False, True])
def test_more_rows_than_the_budget_come_in_order(descending: bool, threads: int) -> None:
    row_count = 1_000_000
    keys = np.random.default_rng(5).integers(0, 1000, row_count)
    table = pa.table({"k": keys, "n": np.arange(row_count), "text": ["x" * 64] * row_count})
    rows = esker.from_arrow(table).sort("k", descending).with_options(memory="16MiB", threads=threads)
    found = np.concatenate([batch["n"].to_numpy() for batch in rows])
    assert (found == np.argsort(-keys if descending else keys, kind="stable")).all()


def test_the_first_rows_of_a_sort_are_the_smallest() -> None:
    assert esker.from_arrow(TABLE).sort("id", descending=True).head(3).to_arrow()["id"].to_pylist() == [399, 398, 397]


def test_sort_of_no_rows_is_no_rows() -> None:
    assert esker.from_arrow(TABLE.slice(0, 0)).sort("k").count() == 0


def test_explain_says_the_order() -> None:
    assert "k descending" in str(esker.from_arrow(TABLE).sort(["k", "s"], [True, False]).explain())


def test_what_cannot_be_sorted_is_named() -> None:
    nested = esker.from_arrow(pa.table({"tags": pa.array([[1]])}))
    with pytest.raises(UnsupportedTypeError, match="by='tags'"):
        nested.sort("tags")
    with pytest.raises(OptionError, match="descending has 1 entries and by 2"):
        esker.from_arrow(TABLE).sort(["k", "s"], [True])
    with pytest.raises(OptionError, match="nulls='middle'"):
        esker.from_arrow(TABLE).sort("k", nulls="middle")
