"""Every verb of a Dataset gives DuckDB's rows, on nulls, NaN, empty batches and all fixed-width types."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import esker
from tests.unit.collection.wide import rows_of, wide_table

TABLE = wide_table(400, seed=1)
OTHER = wide_table(150, seed=2, prefix="r_")
PREDICATES = [
    "k = 3",
    "k <> 3 AND s = ''",
    "k IN (1, 2, NULL)",
    "k NOT IN (1, 2)",
    "NOT (k > 5 OR s IS NULL)",
    "f64 > 1",
    "f64 >= 0.0 AND f32 <= 0.0",
    "f64 = 'NaN'",
    "money BETWEEN -0.50 AND 0.25",
    "moment >= TIMESTAMPTZ '2013-01-01 12:00:00+00' AND day < DATE '2013-01-02'",
    "s LIKE 'a string%' OR s LIKE '%LG_'",
    "flag AND i8 + 1 < u8",
    "u64 > 1099511627776",
    "id % 7 = 0",
]


def duck(sql: str) -> pa.Table:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("t", TABLE)
    connection.register("r", OTHER)
    return connection.sql(sql).to_arrow_table()


@pytest.mark.parametrize("predicate", PREDICATES)
def test_filter_keeps_the_rows_duckdb_keeps(predicate: str) -> None:
    expected = TABLE.take(duck(f"SELECT id FROM t WHERE {predicate}")["id"])
    assert rows_of(esker.from_arrow(TABLE).filter(predicate).to_arrow()) == rows_of(expected)
    assert esker.from_arrow(TABLE).filter(predicate).count() == expected.num_rows


@pytest.mark.parametrize("how", ["inner", "left", "right", "full", "semi", "anti"])
@pytest.mark.parametrize("algorithm", ["auto", "asj", "hash", "in_memory"])
@pytest.mark.parametrize("on", [["k"], ["k", "s"]])
def test_join_gives_the_rows_of_duckdb(how: str, algorithm: str, on: list[str]) -> None:
    left, right = esker.from_arrow(TABLE), esker.from_arrow(OTHER)
    joined = left.join(right, on=on, how=how, algorithm=algorithm).select(
        ["id", *on] + ([] if how in ("semi", "anti") else ["r_id", "r_f64"])
    )
    keys = " AND ".join(f"t.{name} = r.{name}" for name in on)
    coalesced = ", ".join(f"coalesce(t.{name}, r.{name}) AS {name}" for name in on)
    if how in ("semi", "anti"):
        word = "" if how == "semi" else "NOT"
        names = ", ".join(on)
        expected = duck(f"SELECT id, {names} FROM t WHERE {word} EXISTS (SELECT 1 FROM r WHERE {keys})")
    else:
        expected = duck(f"SELECT id, {coalesced}, r_id, r_f64 FROM t {how} JOIN r ON {keys}")
    assert rows_of(joined.to_arrow()) == rows_of(expected)


@pytest.mark.parametrize("by", [["k"], ["s"], ["f64"], ["money", "moment"], ["flag", "day", "bytes"]])
def test_shuffle_gives_every_row_once_and_equal_keys_together(by: list[str]) -> None:
    shuffled = esker.from_arrow(TABLE).shuffle(by, 16).to_arrow()
    assert rows_of(shuffled) == rows_of(TABLE)
    assert shuffled.schema.equals(TABLE.schema)


@pytest.mark.parametrize("by", [["k"], ["s"], ["f64"], ["k", "s"], ["money"], ["moment"]])
def test_groups_are_those_of_duckdb(by: list[str]) -> None:
    def count(group: pa.Table) -> dict[str, object]:
        return {"first": group["id"][0].as_py(), "rows": group.num_rows, "sum": sum(group["id"].to_pylist())}

    mapped = esker.from_arrow(TABLE).group_by(by, partitions=8).map_groups(count)
    keys = ", ".join(by)
    expected = duck(f"SELECT min(id) AS first, count(*) AS rows, sum(id)::BIGINT AS sum FROM t GROUP BY {keys}")
    assert rows_of(mapped.to_arrow()) == rows_of(expected)


def test_head_keeps_the_first_rows_in_order() -> None:
    assert esker.from_arrow(TABLE).head(5).to_arrow()["id"].to_pylist() == [0, 1, 2, 3, 4]
    assert esker.from_arrow(TABLE).head(0).count() == 0
    assert esker.from_arrow(TABLE).head(10**9).count() == TABLE.num_rows


@pytest.mark.parametrize("format_", ["parquet", "csv", "arrow"])
def test_files_give_back_what_was_written(format_: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{format_}"
    kept = TABLE if format_ != "csv" else TABLE.select(["id", "k", "flag", "i16", "f64"])
    assert esker.from_arrow(kept).write(path) == kept.num_rows
    assert rows_of(esker.read(path).to_arrow().cast(kept.schema)) == rows_of(kept)


def test_an_empty_input_passes_every_verb() -> None:
    empty = esker.from_arrow(TABLE.slice(0, 0))
    assert empty.filter("k = 1").count() == 0
    assert empty.shuffle("k", 4).count() == 0
    assert empty.join(esker.from_arrow(OTHER), on="k").count() == 0
    assert empty.join(esker.from_arrow(OTHER), on="k", how="right").count() == OTHER.num_rows
    schema = pa.schema({"n": pa.int64()})
    assert empty.group_by("k").map_groups(lambda group: {"n": group.num_rows}, schema=schema).count() == 0


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    def result(threads: int) -> list[str]:
        joined = esker.from_arrow(TABLE).join(esker.from_arrow(OTHER), on="k").shuffle("s", 8)
        return [repr(row) for row in joined.with_options(threads=threads).to_arrow().to_pylist()]

    assert result(1) == result(4) == result(4)


def test_other_libraries_read_a_dataset_as_it_is() -> None:
    import polars

    dataset = esker.from_arrow(TABLE).filter("k = 3").select(["id", "s"])
    expected = dataset.to_arrow()
    assert pa.table(dataset).equals(expected)
    assert polars.DataFrame(dataset).height == expected.num_rows
    assert duckdb.sql("SELECT count(*) FROM dataset").fetchall() == [(expected.num_rows,)]
