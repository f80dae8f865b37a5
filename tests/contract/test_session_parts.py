"""What tasks of a session make is not made by the script again, and what is lost of it is made again alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import esker
from esker.engine import remote
from esker.index.slot_build import SlotBuild

ROWS, GROUP_ROWS = 60_000, 6_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    chance = np.random.default_rng(8)
    columns = {"id": range(ROWS), "key": chance.integers(0, 300, ROWS), "price": chance.random(ROWS)}
    pq.write_table(pa.table(columns), path, row_group_size=GROUP_ROWS)
    return path


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows came to the script with each parcel."""
    counts: list[int] = []
    unpacked = remote.unpacked

    def counted(data: pa.Buffer) -> pa.Table:
        rows = unpacked(data)
        counts.append(rows.num_rows)
        return rows

    monkeypatch.setattr(remote, "unpacked", counted)
    return counts


def _segments(folder: Path) -> dict[str, bytes]:
    return {path.name.partition(".")[0]: path.read_bytes() for path in folder.iterdir()}


def _none(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.slice(0, 0)


def test_vectors_are_made_where_the_rows_are(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = esker.read_parquet(path)
    columns: dict[str, Any] = {"id": esker.Bins([9_000, 20_000]), "price": esker.Bins([0.2, 0.7])}
    esker.build_index(rows, tmp_path / "whole", columns).close()

    def refused(self: SlotBuild, values: pa.Array) -> None:
        raise AssertionError("the script cut rows into slots")

    monkeypatch.setattr(SlotBuild, "add", refused)
    with esker.connect("processes", workers=2):
        esker.build_index(rows, tmp_path / "parts", columns).close()
        esker.freeze(rows, tmp_path / "rows.esker", keys=["id"], index=columns)
    assert _segments(tmp_path / "parts" / "vectors") == _segments(tmp_path / "whole" / "vectors")
    assert _segments(tmp_path / "rows.esker" / "index") == _segments(tmp_path / "whole" / "vectors")


def test_a_worker_that_is_killed_costs_an_index_its_own_part_alone(path: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    def killing(batch: pa.RecordBatch) -> pa.RecordBatch:
        first = batch["id"][0].as_py()
        tries = len(list(marks.glob(f"{first}-*")))
        (marks / f"{first}-{tries}").touch(exist_ok=False)
        if first == 2 * GROUP_ROWS and not tries:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch

    rows = esker.read_parquet(path)
    columns: dict[str, Any] = {"price": esker.Bins([0.2, 0.7])}
    with esker.connect("processes", workers=3):
        esker.build_index(
            rows.map_batches(killing, schema=rows.schema), tmp_path / "killed", {"price": esker.Bins([0.2, 0.7])}
        ).close()
    esker.build_index(rows, tmp_path / "whole", columns).close()
    assert _segments(tmp_path / "killed" / "vectors") == _segments(tmp_path / "whole" / "vectors")
    # There are fewer row groups than tasks may be: each is a task of its own.
    again = {int(path.name.partition("-")[0]) // GROUP_ROWS for path in marks.glob("*-1")}
    assert again == {2}


def test_an_index_is_of_the_rows_that_are_stored_though_a_function_gives_others_the_second_time(tmp_path: Path) -> None:
    """A worker is lost behind rows that have come: the next try gives others, and the rest is of these."""
    count = 200_000
    one_group = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": range(count), "key": [n // 5_000 for n in range(count)]}), one_group)
    rows = esker.read_parquet(one_group)

    def other(batch: pa.RecordBatch) -> pa.RecordBatch:
        try:
            (tmp_path / f"tried {batch['id'][0]}").touch(exist_ok=False)
        except FileExistsError:
            return pa.record_batch({"id": batch["id"], "key": np.asarray(batch["key"]) + 1000})
        return batch

    with esker.connect("simulated", workers=2, seed=1, losses=1.0):
        esker.build_index(rows.map_batches(other, schema=rows.schema), tmp_path / "index", ["key"]).close()
    with esker.open_index(tmp_path / "index") as index:
        stored = np.asarray(index.find()["key"])
        assert len(stored) == count
        # Rows of both kinds are there.
        assert 0 < (stored >= 1000).sum() < count
        for key in [*range(40), *range(1_000, 1_040)]:
            assert index.count(f"key = {key}") == (stored == key).sum()


def test_rows_that_are_dealt_out_do_not_pass_the_script(path: Path, arrived: list[int]) -> None:
    with esker.connect("processes", workers=2):
        rows = esker.read_parquet(path).filter("key < 200")
        assert rows.repartition(4).map_batches(_none, schema=rows.schema).to_arrow().num_rows == 0
        assert sum(arrived) == 0


def test_ranges_of_what_a_function_made_do_not_pass_the_script(path: Path, arrived: list[int]) -> None:
    with esker.connect("processes", workers=2):
        read = esker.read_parquet(path)
        rows = read.map_batches(lambda batch: batch, schema=read.schema)
        assert (
            rows.shuffle("price", 4, function="range").map_batches(_none, schema=rows.schema).to_arrow().num_rows == 0
        )
        # The sample of the keys.
        assert 0 < sum(arrived) <= ROWS


def test_of_a_sample_only_what_may_stay_comes_to_the_script(path: Path, arrived: list[int]) -> None:
    with esker.connect("processes", workers=2):
        assert esker.read_parquet(path).sample(n=50, seed=3).to_arrow().num_rows == 50
        # Of a row group, a few more than those that stay.
        assert sum(arrived) < ROWS // 10
