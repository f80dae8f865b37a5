"""`shuffle` puts rows where its function says, and `repartition` deals them out evenly."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import esker
from esker.collection.dataset import Dataset
from esker.errors import InputError, OptionError, UnsupportedTypeError
from esker.shuffle.partition_function import hash_rows
from esker.shuffle.strategies import STRATEGIES
from tests.unit.collection.wide import rows_of, wide_table

TABLE = wide_table(400, seed=1)
SORTABLE = [name for name in TABLE.column_names if name != "id"]


def parts(rows: Dataset, folder: Path, **options: object) -> list[pa.Table]:
    rows.write_partitions(folder / "parts", **options)
    return [pq.read_table(path) for path in sorted((folder / "parts").iterdir())]


@pytest.mark.parametrize("strategy", ["auto", *STRATEGIES])
def test_every_strategy_is_taken_by_name(strategy: str, tmp_path: Path) -> None:
    threads = 1 if strategy != "auto" and not STRATEGIES[strategy].ordered else 4
    found = parts(esker.from_arrow(TABLE).shuffle("k", 4, strategy=strategy), tmp_path, threads=threads)
    (tmp_path / "expected").mkdir()
    expected = parts(esker.from_arrow(TABLE).shuffle("k", 4, strategy="sort_first"), tmp_path / "expected")
    assert [part["id"].to_pylist() for part in found] == [part["id"].to_pylist() for part in expected]


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if not STRATEGIES[name].ordered])
def test_a_strategy_without_order_is_refused_in_words_or_taken_where_order_is_given_up(strategy: str) -> None:
    rows = esker.from_arrow(TABLE).shuffle("k", 4, strategy=strategy)
    with pytest.raises(OptionError, match="order of arrival.*ordered=False"):
        rows.with_options(threads=2).to_arrow()
    found = rows.with_options(threads=2, ordered=False).to_arrow()
    assert sorted(found["id"].to_pylist()) == sorted(TABLE["id"].to_pylist())


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("by", [[name] for name in SORTABLE] + [["k", "s"], ["f64", "money"], ["s", "f32", "flag"]])
def test_sorting_each_range_sorts_all_rows(by: list[str], threads: int, tmp_path: Path) -> None:
    found = parts(esker.from_arrow(TABLE).shuffle(by, 5, function="range"), tmp_path, threads=threads)
    assert sum(part.num_rows > 0 for part in found) > 1
    for part in found:
        assert part["id"].to_pylist() == sorted(part["id"].to_pylist())
    one_by_one = [row for part in found for row in esker.from_arrow(part).sort(by).to_arrow()["id"].to_pylist()]
    assert one_by_one == esker.from_arrow(TABLE).sort(by).to_arrow()["id"].to_pylist()
    keys = [set(hash_rows(pa.record_batch(part.select(by).to_batches()[0]), by)) for part in found if part.num_rows]
    assert len(set().union(*keys)) == sum(map(len, keys))


def test_ranges_of_many_rows_are_even_and_the_same_in_every_run(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    table = pa.table({"k": random.normal(size=1_000_000), "n": np.arange(1_000_000)})
    rows = esker.from_arrow(table).shuffle("k", 16, function="range")
    found = parts(rows, tmp_path, threads=2, memory="64MiB")
    assert max(part.num_rows for part in found) < 1.35 * len(table) / 16
    (tmp_path / "again").mkdir()
    again = parts(rows, tmp_path / "again", threads=1, memory="16MiB")
    assert [part["n"].to_pylist() for part in found] == [part["n"].to_pylist() for part in again]
    edges = [(part["k"].to_numpy().min(), part["k"].to_numpy().max()) for part in found]
    assert all(before[1] < after[0] for before, after in pairwise(edges))


def test_one_key_of_nearly_all_rows_leaves_ranges_for_the_others(tmp_path: Path) -> None:
    keys = np.where(np.arange(200_000) % 50 == 0, np.arange(200_000), 70_000)
    found = parts(esker.from_arrow({"k": keys}).shuffle("k", 8, function="range"), tmp_path)
    sizes = sorted(part.num_rows for part in found)
    assert 196_001 <= sizes[-1] < 197_000
    assert sizes[0] > 0 and sizes[-2] < 1_500


def test_an_input_that_is_read_once_is_spooled_for_its_splitters(tmp_path: Path) -> None:
    once = esker.from_arrow(TABLE.to_reader()).shuffle("k", 4, function="range")
    assert "from spooled rows" in str(once.explain())
    again = esker.from_arrow(TABLE).filter("id >= 0").shuffle("k", 4, function="range")
    assert "from a pass over the keys" in str(again.explain())
    calls: list[int] = []

    def counted(batch: pa.RecordBatch) -> pa.RecordBatch:
        calls.append(batch.num_rows)
        return batch

    made = esker.from_arrow(TABLE).map_batches(counted, schema=TABLE.schema).shuffle("k", 4, function="range")
    found = []
    for number, rows in enumerate([once, again, made]):
        (tmp_path / str(number)).mkdir()
        found.append([part["id"].to_pylist() for part in parts(rows, tmp_path / str(number))])
    assert found[0] == found[1] == found[2]
    assert sum(calls) == TABLE.num_rows


def test_modulo_and_id_are_what_their_names_say(tmp_path: Path) -> None:
    table = pa.table({"k": pa.array([7, -1, 8, None, 3], pa.int16()), "p": [3, 3, 0, 2, 3]})
    by_modulo = parts(esker.from_arrow(table).shuffle("k", 4, function="modulo"), tmp_path)
    assert [part["k"].to_pylist() for part in by_modulo] == [[8, None], [], [], [7, -1, 3]]
    (tmp_path / "id").mkdir()
    by_id = parts(esker.from_arrow(table).shuffle("p", 4, function="id"), tmp_path / "id")
    assert [part["k"].to_pylist() for part in by_id] == [[8], [], [None], [7, -1, 3]]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("partitions", [1, 3, 64, 1000])
def test_repartition_deals_rows_out_one_by_one(partitions: int, threads: int, tmp_path: Path) -> None:
    found = parts(esker.from_arrow(TABLE).repartition(partitions), tmp_path, threads=threads)
    ids = TABLE["id"].to_pylist()
    assert [part["id"].to_pylist() for part in found] == [ids[start::partitions] for start in range(partitions)]


def test_repartition_by_columns_is_a_shuffle(tmp_path: Path) -> None:
    found = parts(esker.from_arrow(TABLE).repartition(4, by="k"), tmp_path)
    (tmp_path / "shuffle").mkdir()
    assert [part["id"].to_pylist() for part in found] == [
        part["id"].to_pylist() for part in parts(esker.from_arrow(TABLE).shuffle("k", 4), tmp_path / "shuffle")
    ]


def test_more_rows_than_the_budget_are_repartitioned(tmp_path: Path) -> None:
    table = pa.table({"n": np.arange(400_000), "text": ["x" * 100] * 400_000})
    assert esker.from_arrow(table).repartition(8).write_partitions(tmp_path / "out", memory="16MiB") == [50_000] * 8


@pytest.mark.parametrize("function", ["hash", "range", "modulo"])
def test_no_rows_have_partitions_too(function: str, tmp_path: Path) -> None:
    empty = esker.from_arrow(TABLE.slice(0, 0))
    assert empty.shuffle("k", 3, function=function).write_partitions(tmp_path / "out") == [0, 0, 0]
    assert empty.repartition(3).count() == 0


def test_filters_and_columns_above_a_range_shuffle_are_right() -> None:
    rows = esker.from_arrow(TABLE).shuffle("k", 4, function="range").filter("id < 100").select(["s"])
    assert rows_of(rows.to_arrow()) == rows_of(TABLE.slice(0, 100).select(["s"]))


def test_what_a_function_cannot_take_is_named() -> None:
    rows = esker.from_arrow(TABLE)
    with pytest.raises(OptionError, match="function='fnord'; there is: hash, range, modulo, id"):
        rows.shuffle("k", function="fnord")
    with pytest.raises(OptionError, match="strategy='fnord'; there is: auto, "):
        rows.shuffle("k", strategy="fnord")
    with pytest.raises(OptionError, match="takes one column of integers"):
        rows.shuffle(["k", "id"], function="modulo")
    with pytest.raises(UnsupportedTypeError, match="'s' is string"):
        rows.shuffle("s", function="id")
    with pytest.raises(UnsupportedTypeError, match="by='tags'"):
        esker.from_arrow(pa.table({"tags": pa.array([[1]])})).shuffle("tags", function="range")
    with pytest.raises(OptionError, match="name them in by="):
        rows.repartition(4, function="range")
    with pytest.raises(OptionError, match="partitions=0"):
        rows.repartition(0)
    with pytest.raises(InputError, match="partition"):
        rows.shuffle("id", 4, function="id").to_arrow()
