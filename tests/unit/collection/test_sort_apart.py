"""Sorts and range shuffles in sessions of processes: rows go from process to process, and not through the script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import esker

ROWS = 20_000


@pytest.fixture
def rows(tmp_path: Path) -> esker.Dataset:
    chance = np.random.default_rng(3)
    table = pa.table({"key": chance.integers(0, 40, ROWS), "price": chance.random(ROWS), "id": range(ROWS)})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=3_000)
    return esker.read_parquet(tmp_path / "rows.parquet")


def _negated(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch({"key": -np.asarray(batch["key"]), "id": batch["id"]})


def _run(dataset: esker.Dataset) -> tuple[pa.Table, list[Any]]:
    log: list[Any] = []
    result = dataset.execute()
    result._context.log.listen(log.append)
    return result.to_arrow(), [event for event in log if event["event"] == "shuffled"]


def test_a_sort_is_a_shuffle_by_ranges(rows: esker.Dataset) -> None:
    expected = rows.sort("price", descending=True).to_arrow()
    with esker.connect("processes", workers=2):
        found, shuffled = _run(rows.sort("price", descending=True))
    assert found == expected
    # Only a shuffle between processes has map tasks.
    assert [event["map_tasks"] > 0 for event in shuffled] == [True]
    assert shuffled[0]["rows"] == ROWS


def test_what_a_function_made_is_made_once_and_kept_at_the_nodes(rows: esker.Dataset) -> None:
    made = rows.map_batches(_negated, pa.schema({"key": pa.int64(), "id": pa.int64()}))
    expected = made.sort("key").to_arrow()
    with esker.connect("processes", workers=2):
        found, shuffled = _run(made.sort("key"))
    assert found == expected  # equal keys as they came
    assert [event["map_tasks"] > 0 for event in shuffled] == [True, True]


def test_a_range_shuffle_has_the_partitions_that_it_has_on_one_machine(rows: esker.Dataset) -> None:
    dataset = rows.shuffle("price", 8, function="range")
    expected = dataset.to_arrow()
    with esker.connect("processes", workers=2):
        found, shuffled = _run(dataset)
    assert found == expected
    assert [event["map_tasks"] > 0 for event in shuffled] == [True]


def test_a_sort_of_which_the_first_rows_are_wanted_sorts_the_first_ranges(rows: esker.Dataset) -> None:
    with esker.connect("processes", workers=2):
        found = rows.sort(["key", "id"]).head(10).to_arrow()
    assert found == rows.sort(["key", "id"]).to_arrow().slice(0, 10)
