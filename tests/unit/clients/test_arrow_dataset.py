from __future__ import annotations

import pickle
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, given, settings

import esker
from esker.clients.arrow_dataset import ArrowDataset
from esker.core.explanation import Explanation
from esker.errors import InputError

from .rows import CONSTANTS, Tree, same, to_pyarrow, to_sql, trees

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("kind", ["frozen", "indexed", pytest.param("cluster", marks=pytest.mark.slow)])
@FEW
@given(tree=trees(sorted(CONSTANTS)))
def test_duckdb_finds_what_it_finds_in_its_own_table(
    request: pytest.FixtureRequest, plain: pa.Table, kind: str, tree: Tree
) -> None:
    rows = esker.as_arrow_dataset(request.getfixturevalue(kind))
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE own AS SELECT * FROM plain")
        wanted = connection.sql(f"SELECT id, text FROM own WHERE {to_sql(tree)} ORDER BY id").fetchall()
        assert connection.sql(f"SELECT id, text FROM rows WHERE {to_sql(tree)} ORDER BY id").fetchall() == wanted
        assert connection.sql(f"SELECT count(*) FROM rows WHERE {to_sql(tree)}").fetchall() == [(len(wanted),)]
    assert rows.count_rows() == plain.num_rows


@pytest.mark.parametrize("kind", ["frozen", "indexed", pytest.param("cluster", marks=pytest.mark.slow)])
@FEW
@given(tree=trees(sorted(CONSTANTS)))
def test_pyarrow_finds_what_it_finds_in_a_table(
    request: pytest.FixtureRequest, plain: pa.Table, kind: str, tree: Tree
) -> None:
    rows, filter = esker.as_arrow_dataset(request.getfixturevalue(kind)), to_pyarrow(tree)
    wanted = ds.dataset(plain).to_table(filter=filter)
    assert same(rows.to_table(filter=filter), wanted)
    assert same(rows.to_table(columns=["text"], filter=filter), wanted.select(["text"]))
    assert rows.count_rows(filter) == wanted.num_rows
    assert same(rows.filter(filter).head(3, columns=["id"]), wanted.select(["id"]).slice(0, 3))


def test_the_index_is_asked_and_only_its_rows_are_fetched(frozen: Path, plain: pa.Table) -> None:
    told: list[Explanation] = []
    rows = esker.as_arrow_dataset(frozen, on_scan=told.append)
    with duckdb.connect() as connection:
        connection.register("flights", rows)
        found = connection.sql("SELECT text FROM flights WHERE n = 3 AND s IN ('Ann', 'Bo') AND m > -2").fetchall()
    detail = told[-1].walk()[-1].detail
    assert '"n" = 3' in detail["predicate"] and "'Bo'" in detail["predicate"]
    assert detail["index_vectors"] == 3
    assert 0 < len(found) <= detail["rows_to_fetch"] < plain.num_rows / 20
    assert set(detail["columns"]) == {"n", "s", "m", "text"}


def test_explain_shows_what_the_index_gets(frozen: Path) -> None:
    rows = esker.as_arrow_dataset(frozen)
    filter = (pc.field("n") == 3) & (pc.utf8_length(pc.field("s")) > 2)
    shown = str(rows.explain(filter, ["text"]))
    assert 'predicate: "n" = 3' in shown and "index_vectors: 1" in shown


def test_parts_that_only_pyarrow_knows_are_applied_by_it(frozen: Path, plain: pa.Table) -> None:
    for filter in (
        (pc.field("n") == 3) & (pc.utf8_length(pc.field("s")) > 2),
        pc.field("n") + 1 == 4,
        pc.field("f").cast("float32") == 1.5,
        pc.field("m").cast("int32", safe=False) == 1,
        pc.match_substring_regex(pc.field("s"), "^A"),
        ~(pc.field("f") > 1.0),
        pc.field("f") != float("nan"),
    ):
        wanted = ds.dataset(plain).to_table(filter=filter)
        assert wanted.num_rows > 0, filter
        assert same(esker.as_arrow_dataset(frozen).to_table(filter=filter), wanted), filter
        assert same(esker.as_arrow_dataset(frozen).to_table(["id"], filter), wanted.select(["id"])), filter


def test_polars_and_pyarrow_read_it_as_a_dataset(frozen: Path, plain: pa.Table) -> None:
    rows = esker.as_arrow_dataset(frozen)
    found = pl.scan_pyarrow_dataset(rows).filter(pl.col("n") > 10).select("id").collect()
    assert found["id"].to_list() == plain.filter(pc.greater(plain["n"], 10))["id"].to_pylist()
    twice = rows.to_table(columns={"double": pc.field("n") * 2}, filter=pc.field("id") < 3)
    assert twice["double"].to_pylist() == pc.multiply(plain["n"], 2).to_pylist()[:3]
    assert sum(batch.num_rows for batch in rows.to_batches(columns=["id"])) == plain.num_rows
    assert rows.take([3, 1], columns=["id"])["id"].to_pylist() == [3, 1]


def test_it_joins_sorts_and_is_written_as_any_dataset(frozen: Path, plain: pa.Table, tmp_path: Path) -> None:
    rows = esker.as_arrow_dataset(frozen)
    few = rows.filter(pc.field("id") < 10)
    assert few.sort_by([("id", "descending")]).to_table()["id"].to_pylist() == list(range(9, -1, -1))
    assert few.join(few, "id", right_suffix="_right").count_rows() == 10
    ds.write_dataset(rows, tmp_path / "out", format="parquet")
    assert same(ds.dataset(tmp_path / "out").to_table().sort_by("id"), plain)


def test_every_method_of_a_dataset_is_its_own() -> None:
    inherited = [
        name
        for name in dir(ds.Dataset)
        if name not in dir(object) and name != "__pyx_vtable__" and name not in vars(ArrowDataset)
    ]
    assert inherited == []


def test_what_it_has_not_is_said(frozen: Path) -> None:
    rows = esker.as_arrow_dataset(frozen)
    for call in (rows.get_fragments, lambda: rows.replace_schema(rows.schema), lambda: pickle.dumps(rows)):
        with pytest.raises(InputError, match="a dataset of Esker's rows has no"):
            call()


def test_an_error_of_the_source_reaches_the_client(frozen: Path) -> None:
    rows = esker.as_arrow_dataset(frozen, max_cost={"bytes": 1})
    with pytest.raises(Exception, match="max_cost"):
        rows.to_table()
