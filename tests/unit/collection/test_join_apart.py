"""Joins in sessions of processes: both sides go from process to process, and rows come in the order of one machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import esker
from esker.join.layout import JOIN_KINDS
from esker.plan import compile as compiling

ROWS, SMALL = 12_000, 3_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("rows")
    chance = np.random.default_rng(4)
    keys = chance.integers(0, 2_000, ROWS)
    left = pa.table(
        {
            "key": pa.array([None if key % 37 == 0 else int(key) for key in keys], pa.int32()),
            "price": chance.random(ROWS),
            "name": [f"left {number}" for number in range(ROWS)],
        }
    )
    # Another type, keys that the left does not have, and some that it has several times.
    keys = chance.integers(500, 2_600, SMALL)
    right = pa.table(
        {
            "code": pa.array([None if key % 41 == 0 else int(key) for key in keys], pa.int64()),
            "name": [f"right {number}" for number in range(SMALL)],
            "share": pa.array([None if number % 5 == 0 else number / 7 for number in range(SMALL)]),
        }
    )
    pq.write_table(left, found / "left.parquet", row_group_size=2_000)
    pq.write_table(right, found / "right.parquet", row_group_size=1_000)
    return found


@pytest.fixture
def everything_moves(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(compiling, "JOIN_APART_BYTES", 0)
    with esker.connect("processes", workers=2):
        yield


def _joined(folder: Path, how: str, algorithm: str) -> esker.Dataset:
    left, right = esker.read_parquet(folder / "left.parquet"), esker.read_parquet(folder / "right.parquet")
    return left.join(right, left_on="key", right_on="code", how=how, algorithm=algorithm)


def _run(dataset: esker.Dataset) -> tuple[pa.Table, list[Any]]:
    log: list[Any] = []
    result = dataset.execute()
    result._context.log.listen(log.append)
    return result.to_arrow(), [event for event in log if event["event"] == "shuffled"]


@pytest.mark.parametrize("how", JOIN_KINDS)
def test_a_join_has_the_rows_and_the_order_of_one_in_memory(folder: Path, everything_moves: None, how: str) -> None:
    # One that is asked for by name is done by the script.
    expected = _joined(folder, how, "in_memory").to_arrow()
    found, shuffled = _run(_joined(folder, how, "auto"))
    assert found.equals(expected)
    assert found.num_rows > 1_000
    # Both sides, and the order: between processes, which have map tasks.
    assert [event["map_tasks"] > 0 for event in shuffled] == [True, True, True]


@pytest.fixture(scope="module")
def few(folder: Path) -> Path:
    """A side of few rows, some of whose keys the left does not have, and one that is null."""
    codes = [*range(3, 1_500, 50), 5_000, 1 << 40, None]
    path = folder / "few.parquet"
    pq.write_table(pa.table({"code": codes, "weight": [n / 3 for n in range(len(codes))]}), path, row_group_size=10)
    return path


# Rows of the left that pass between processes; where it has to be there whole, or comes first, all do.
@pytest.mark.parametrize("how", JOIN_KINDS)
@pytest.mark.parametrize("swapped", [False, True])
def test_rows_that_no_key_of_the_lesser_side_matches_are_not_moved(
    folder: Path, few: Path, everything_moves: None, how: str, swapped: bool
) -> None:
    def script(algorithm: str) -> esker.Dataset:
        large, small = esker.read_parquet(folder / "left.parquet"), esker.read_parquet(few)
        if swapped:
            return small.join(large, left_on="code", right_on="key", how=how, algorithm=algorithm)
        return large.join(small, left_on="key", right_on="code", how=how, algorithm=algorithm)

    found, shuffled = _run(script("auto"))
    assert found.equals(script("in_memory").to_arrow())
    kept = how == "full" or how in (("right",) if swapped else ("left", "anti"))
    less, more = sorted(event["rows"] for event in shuffled[:2])
    assert less == 33
    # Some two hundred have a partner.
    assert more == ROWS if kept else more < ROWS // 10


def test_keys_of_two_columns_and_of_texts_spare_moves_too(folder: Path, everything_moves: None) -> None:
    def script(algorithm: str) -> esker.Dataset:
        left = esker.read_parquet(folder / "left.parquet")
        groups = left.filter("key < 30").group_by(["key", "name"], partitions=4).agg({"top": ("price", "max")})
        return left.join(groups, on=["key", "name"], algorithm=algorithm)

    names = ["key", "name", "price", "top"]
    found, shuffled = _run(script("auto").select(names))
    expected = script("in_memory").select(names).to_arrow()
    assert found.equals(expected)
    assert found.num_rows > 100
    # The groups' own shuffle, theirs for the join, and the large side's.
    assert [event["rows"] < ROWS // 10 for event in shuffled[:3]] == [True] * 3


def test_columns_that_are_not_wanted_do_not_matter(folder: Path, everything_moves: None) -> None:
    wanted = ["name_right", "price"]
    expected = _joined(folder, "left", "in_memory").select(wanted).to_arrow()
    assert _joined(folder, "left", "auto").select(wanted).to_arrow().equals(expected)


def test_computed_sides_are_joined_where_they_were_computed(folder: Path) -> None:
    def script() -> pa.Table:
        left, right = esker.read_parquet(folder / "left.parquet"), esker.read_parquet(folder / "right.parquet")
        totals = left.group_by("key", partitions=4).agg({"n": ("price", "count")})
        return totals.join(right, left_on="key", right_on="code").to_arrow()

    expected = script()
    with esker.connect("processes", workers=2):
        found = script()
    assert found.num_rows > 1_000
    assert found.sort_by([("key", "ascending"), ("name", "ascending")]) == expected.sort_by(
        [("key", "ascending"), ("name", "ascending")]
    )


def test_a_small_join_of_files_is_done_by_the_script(folder: Path) -> None:
    with esker.connect("processes", workers=2):
        _, shuffled = _run(_joined(folder, "inner", "auto"))
        explanation = _joined(folder, "inner", "auto").explain()
    assert not any(event.get("map_tasks") for event in shuffled)
    assert explanation.estimated is not None


def test_the_plan_says_where_a_join_is_done(folder: Path, everything_moves: None) -> None:
    explanation = _joined(folder, "inner", "auto").explain()
    assert explanation.choice == "hash"
    assert "between processes" in str(explanation)


def test_what_is_behind_a_join_is_done_where_its_rows_are(folder: Path, everything_moves: None) -> None:
    def script(algorithm: str) -> esker.Dataset:
        joined = _joined(folder, "inner", algorithm).filter("price > 0.2").map_batches(_marked, MARKED)
        return joined.group_by("process", partitions=4).agg({"n": ("price", "count"), "first": ("name", "first")})

    (here,) = script("in_memory").to_arrow().to_pylist()
    there, shuffled = _run(script("auto"))
    assert here["process"] == os.getpid()
    assert here["process"] not in there["process"].to_pylist()
    assert sum(there["n"].to_pylist()) == here["n"]
    assert here["first"] in there["first"].to_pylist()
    assert [event["map_tasks"] > 0 for event in shuffled] == [True] * 4


def test_rows_of_a_join_are_counted_where_they_are(folder: Path, everything_moves: None) -> None:
    result = _joined(folder, "left", "auto").execute()
    rows = result.to_arrow().num_rows
    assert result.explanation.operator == "join"
    assert result.explanation.rows == rows


MARKED = pa.schema({"process": pa.int64(), "price": pa.float64(), "name": pa.string()})


def _marked(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch({"process": [os.getpid()] * len(batch), "price": batch["price"], "name": batch["name"]})
