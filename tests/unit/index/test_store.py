"""An index folder lives: built, asked, appended to, deleted from, compacted; DuckDB says what is right."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import esker
from esker.core.row_set import RowSet
from esker.core.seeded import generator
from esker.errors import (
    CatalogCorruptError,
    InputError,
    InputFileError,
    LockedError,
    OptionError,
    OutputExistsError,
    PayloadCorruptError,
    UnknownColumnError,
)
from esker.frozen.lock import writer_lock
from esker.index.plan import SMALL_SHARE
from esker.index.row_formats import ROW_FORMATS

KINDS = {
    "salary": "bit_sliced",
    "age": "equality",
    "city": "equality",
    "grade": "interval",
    "score": esker.Bins.quantile(8),
    "born": esker.TimeQuantum("month"),
}


def people(count: int, seed: int = 1) -> pa.Table:
    chance = generator(seed)

    def some(values: pa.Array, share: float = 0.05) -> pa.Array:
        return pc.if_else(pa.array(chance.random(count) < share), pa.scalar(None, values.type), values)

    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "salary": some(pa.array(chance.integers(5_000, 400_000, count), pa.int32())),
            "age": some(pa.array(chance.integers(0, 100, count), pa.int8())),
            "city": some(pa.array(chance.choice(["Tacoma", "Spokane", "Seattle", "Olympia"], count))),
            "grade": some(pa.array(chance.integers(0, 12, count), pa.int16())),
            "score": some(pa.array(np.where(chance.random(count) < 0.02, np.nan, chance.normal(size=count)))),
            "born": some(pa.array(chance.integers(0, 20_000, count), pa.int32()).cast(pa.date32())),
            "text": pa.array([f"row {number}" for number in range(count)], pa.string()),
        }
    )


PREDICATES = [
    "salary > 100000 AND age < 50",
    "city = 'Tacoma' AND age IN (3, 4, 5)",
    "city LIKE 'S%' OR grade BETWEEN 3 AND 5",
    "NOT (score > 0.3) AND salary <= 200000",
    "born >= DATE '1990-01-01' AND born < DATE '1991-03-05'",
    "age IS NULL OR salary IS NULL",
    "id = 77",
    "age = 7 AND id > 100 AND score < 0",
    "age + 1 = 5",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module", params=list(ROW_FORMATS))
def index(request, folder):
    """An index of three blocks, with rows deleted from each."""
    path = folder / f"{request.param}.index"
    with esker.build_index(people(3_000), path, KINDS, rows=request.param) as built:
        built.append(people(500, seed=2))
        built.append(people(700, seed=3))
        built.delete("age = 20 OR salary < 9000")
        yield built


@pytest.fixture(scope="module")
def expected(folder):
    rows = pa.concat_tables([people(3_000), people(500, seed=2), people(700, seed=3)])
    connection = duckdb.connect()
    connection.register("arrow", rows.append_column("row", pa.array(range(len(rows)), pa.int64())))
    connection.execute("CREATE TABLE every AS SELECT * FROM arrow")
    connection.execute("CREATE TABLE people AS SELECT * FROM every WHERE (age = 20 OR salary < 9000) IS NOT TRUE")
    yield lambda sql: connection.execute(sql).fetchall()
    connection.close()


@pytest.mark.parametrize("predicate", PREDICATES)
def test_every_way_of_asking_gives_the_rows_of_duckdb(index, expected, predicate):
    rows = [row for (row,) in expected(f"SELECT row FROM people WHERE {predicate} ORDER BY row")]
    texts = [text for (text,) in expected(f"SELECT text FROM people WHERE {predicate} ORDER BY row")]
    assert index.count(predicate) == len(rows)
    assert index.exists(predicate) == bool(rows)
    assert index.row_set(predicate).to_numpy().tolist() == rows
    assert index.find(predicate, ["text"])["text"].to_pylist() == texts
    assert index.find(predicate, ["text"], limit=3)["text"].to_pylist() == texts[:3]
    found = esker.read(index.path).filter(predicate).select(["text"])
    assert found.to_arrow()["text"].to_pylist() == texts
    with_rows = index.explain(predicate, ["text"], run=True)
    assert with_rows.rows >= len(rows)


@pytest.mark.parametrize("where", [None, "salary > 300000", "age = 7"])
@pytest.mark.parametrize("column", ["age", "city", "grade", "salary"])
def test_counts_of_values_are_those_of_duckdb(index, expected, column, where):
    condition = where or "TRUE"
    counted = expected(f"SELECT {column}, count(*) FROM people WHERE {condition} GROUP BY 1")
    table = index.group_count(column, where)
    assert dict(zip(table[column].to_pylist(), table["count"].to_pylist(), strict=True)) == dict(counted)
    best = expected(
        f"SELECT {column}, count(*) FROM people WHERE {condition} AND {column} IS NOT NULL"
        " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3"
    )
    assert index.top(column, 3, where) == best
    assert index.distinct(column, where) == sorted(value for value, _ in counted if value is not None)


@pytest.mark.parametrize("where", [None, "city = 'Seattle'", "age = 7", "age = 20"])
@pytest.mark.parametrize("column", ["salary", "age", "grade"])
def test_sums_and_extremes_are_those_of_duckdb(index, expected, column, where):
    ((total, least, most, middle),) = expected(
        f"SELECT sum({column}), min({column}), max({column}), quantile_disc({column}, 0.5) FROM people"
        f" WHERE {where or 'TRUE'}"
    )
    assert (index.sum(column, where), index.min(column, where), index.max(column, where)) == (total, least, most)
    values = [v for (v,) in expected(f"SELECT {column} FROM people WHERE {where or 'TRUE'} AND {column} IS NOT NULL")]
    assert index.percentile(column, 0.5, where) == (sorted(values)[(len(values) - 1) // 2] if values else None)
    assert middle is None or index.count(f"{column} = {middle}") > 0


def test_groups_of_two_columns_and_of_floats_count_nan_once(index, expected):
    table = index.group_count(["city", "grade"], "age < 30")
    found = {(row["city"], row["grade"]): row["count"] for row in table.to_pylist()}
    rows = expected("SELECT city, grade, count(*) FROM people WHERE age < 30 GROUP BY 1, 2")
    assert found == {(city, grade): count for city, grade, count in rows}
    scores = index.group_count("score")
    nans = [row["count"] for row in scores.to_pylist() if row["score"] is not None and math.isnan(row["score"])]
    assert nans == [count for (count,) in expected("SELECT count(*) FROM people WHERE isnan(score)")]
    assert math.isnan(index.max("score"))


def test_compacting_keeps_the_rows_and_takes_out_what_was_deleted(tmp_path, expected):
    with esker.build_index(people(3_000), tmp_path / "p.index", KINDS) as index:
        index.append(people(500, seed=2))
        index.append(people(700, seed=3))
        index.delete("age = 20 OR salary < 9000")
        before = index.find("city = 'Tacoma'")
        bytes_before = index.statistics()["row_bytes"]
        index.compact()
        assert index.statistics()["blocks"] == 1
        assert index.statistics()["deleted"] == 0
        assert index.statistics()["row_bytes"] < bytes_before
        assert index.find("city = 'Tacoma'").drop_columns(["score"]).equals(before.drop_columns(["score"]))
        assert index.row_set("age = 20").to_numpy().tolist() == []
        index.verify()
    assert len(list((tmp_path / "p.index" / "rows").iterdir())) == 1
    assert len(list((tmp_path / "p.index" / "vectors").iterdir())) == len(KINDS)


def test_a_reader_keeps_what_it_opened_while_others_write(tmp_path):
    path = tmp_path / "p.index"
    with esker.build_index(people(1_000), path, ["age", "city"]) as writer, esker.open_index(path) as reader:
        before = reader.count("age < 50")
        writer.append(people(1_000, seed=5))
        writer.delete("age < 50")
        writer.compact()
        assert (writer.count("age < 50"), reader.count("age < 50")) == (0, before)
        assert reader.find("age < 50", ["text"]).num_rows == before
        reader.refresh()
        assert reader.count("age < 50") == 0


def test_readers_go_on_during_a_build(tmp_path):
    path = tmp_path / "p.index"
    esker.build_index(people(1_000), path, ["age"]).close()
    asked: list[int] = []
    gate, begun = threading.Event(), threading.Event()

    def slow():
        begun.set()
        yield people(500, seed=2).to_batches()[0]
        gate.wait(60)
        yield people(500, seed=3).to_batches()[0]

    reader = pa.RecordBatchReader.from_batches(people(1).schema, slow())
    writer = esker.open_index(path)
    thread = threading.Thread(target=lambda: writer.append(reader))
    thread.start()
    assert begun.wait(60)
    with esker.open_index(path) as other:
        asked.append(other.count("age < 50"))
        with pytest.raises(LockedError):
            other.delete("age = 1")
        asked.append(other.count("age < 50"))
    gate.set()
    thread.join()
    writer.close()
    with esker.open_index(path) as after:
        assert len(after) == 2_000
        assert asked[0] == asked[1] < after.count("age < 50")


def test_opening_reads_no_vector_and_a_question_counts_what_it_reads(tmp_path):
    with esker.build_index(people(3_000), tmp_path / "p.index", ["age", "city"]) as index:
        opened = index.statistics()
        assert (opened["vectors_read"], opened["bytes_read"]) == (0, 0)
        assert opened["vectors"] == (2 + 100) + (2 + 4)
        index.count("age = 7 AND city = 'Tacoma'")
        assert index.statistics()["vectors_read"] == 2
        index.count("age = 107 AND city = 'Tacoma'")
        assert index.statistics()["vectors_read"] == 2


def test_polars_and_pyarrow_expressions_ask_like_sql(tmp_path):
    import polars as pl

    with esker.build_index(people(2_000), tmp_path / "p.index", ["age", "city"]) as index:
        rows = index.row_set("age < 50 AND city IN ('Tacoma', 'Spokane')")
        assert index.row_set((pl.col("age") < 50) & pl.col("city").is_in(["Tacoma", "Spokane"])) == rows
        assert index.row_set((pc.field("age") < 50) & pc.field("city").isin(["Tacoma", "Spokane"])) == rows
        names = sorted({"Olympia", "Seattle", "Spokane", "Tacoma"})
        first = 100 + names.index("Spokane")
        # The ages 0 to 99 are v0 to v99, then come the cities, in order.
        assert index.row_set(f"R:[0,49]&[{first},{first + 1}]") == rows
        assert index.vectors(0, 49).count() == index.count("age < 50")
        with pytest.raises(InputError, match="v0 to v103"):
            index.count("R:[0,104]")


def test_errors_say_what_to_do(tmp_path):
    path = tmp_path / "p.index"
    with pytest.raises(InputFileError, match="no such folder"):
        esker.open_index(path)
    with pytest.raises(UnknownColumnError, match="did you mean 'age'"):
        esker.build_index(people(10), path, ["agee"])
    assert not path.exists()
    with pytest.raises(OptionError, match="no row format 'csv'"):
        esker.build_index(people(10), path, ["age"], rows="csv")
    with pytest.raises(OptionError, match="no encoding 'zip'"):
        esker.build_index(people(10), path, ["age"], encoding="zip")
    with esker.build_index(people(10), path, ["age"]) as index:
        with pytest.raises(OutputExistsError, match="is an index already"):
            esker.build_index(people(10), path, ["age"])
        with pytest.raises(InputError, match="row 10 is past the last"):
            index.delete(RowSet.range(8, 12))
        assert index.delete(RowSet.range(8, 10)) == 2
        assert index.delete(RowSet.range(7, 10)) == 1
        assert len(index) == 7
    with writer_lock(path), esker.open_index(path) as index, pytest.raises(LockedError):
        index.compact()


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def broken():
        yield people(10).to_batches()[0]
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        esker.build_index(pa.RecordBatchReader.from_batches(people(1).schema, broken()), tmp_path / "p.index", ["age"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", list(ROW_FORMATS))
def test_damage_is_named_and_never_answered(tmp_path, rows):
    path = tmp_path / "p.index"
    esker.build_index(people(300), path, ["age"], rows=rows).close()
    (file,) = (path / "rows").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    with esker.open_index(path) as index, pytest.raises(PayloadCorruptError, match=file.name):
        index.find("age = 7")
    file.write_bytes(whole[:2000] + bytes([whole[2000] ^ 0x55]) + whole[2001:])
    with esker.open_index(path) as index, pytest.raises(PayloadCorruptError, match=file.name):
        index.verify()
    database = path / "index.db"
    content = bytearray(database.read_bytes())
    place = content.index(b'"encoding"')
    content[place + 1] ^= 1
    database.write_bytes(content)
    with pytest.raises(CatalogCorruptError):
        esker.open_index(path)


def test_an_offset_that_leads_out_of_the_file_is_not_followed(tmp_path):
    path = tmp_path / "p.index"
    table = people(300)
    esker.build_index(table, path, ["age"], store=["age", "text"]).close()
    (file,) = (path / "rows").iterdir()
    content = bytearray(file.read_bytes())
    offsets = table["text"].chunk(0).buffers()[1].to_pybytes()[: 4 * 301]
    place = content.index(offsets)
    content[place + 4 * 150 : place + 4 * 151] = (2**30).to_bytes(4, "little")
    file.write_bytes(content)
    with esker.open_index(path) as index:
        with pytest.raises(PayloadCorruptError, match="column 'text' is damaged"):
            index.find(None, ["text"])


@pytest.mark.parametrize("rows", list(ROW_FORMATS))
def test_an_empty_index_answers_and_takes_rows(tmp_path, rows):
    with esker.build_index(people(0), tmp_path / "p.index", ["age"], rows=rows) as index:
        assert (len(index), index.count("age = 7"), index.find("age = 7").num_rows) == (0, 0, 0)
        assert index.sum("age") is None
        index.append(people(100))
        assert index.count("age = 7") == index.count("age >= 7 AND age < 8")
        assert index.append(people(0)) == 0
        assert index.delete("TRUE") == 100
        index.compact()
        assert len(index) == 0
        assert list((tmp_path / "p.index" / "rows").iterdir()) == []


@pytest.mark.parametrize("rows", list(ROW_FORMATS))
def test_find_never_plans_to_read_more_than_a_scan(tmp_path, rows):
    with esker.build_index(people(20_000), tmp_path / "p.index", KINDS, rows=rows) as index:
        for predicate in [*PREDICATES, "age >= 0", "age < 95"]:
            explained = index.explain(predicate, ["text"])
            (other,) = explained.alternatives.values()
            if explained.choice == "index":
                found, vectors = explained.estimated, explained.detail["vector_bytes"]
                strict = found.bytes <= other.bytes and found.requests <= other.requests
                assert strict or (vectors <= other.bytes // SMALL_SHARE and found.bytes - vectors <= other.bytes)
        assert index.explain("age = 7", ["text"]).choice == "index"
        assert index.explain("id > 5", ["text"]).choice == "scan"


def test_few_rows_of_narrow_columns_come_by_the_index_though_every_page_is_touched(tmp_path):
    numbers = np.arange(100_000)
    table = pa.table({"k": numbers * 7919 % 100, "n": numbers, "x": numbers / 7})
    with esker.build_index(table, tmp_path / "n.index", ["k"]) as index:
        assert index.explain("k = 17").choice == "index"
        assert index.find("k = 17").equals(table.filter(pc.field("k") == 17))
        # More than half of the rows.
        assert index.explain("k <> 17").choice == "scan"
