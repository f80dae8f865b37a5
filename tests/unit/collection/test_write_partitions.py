"""Partitions are written several at once: the same files as by one thread, of the sizes asked for, or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import esker
from esker.core.cancellation import Cancellation
from esker.core.event_log import read_events
from esker.errors import CancelledError, OptionError, OutputExistsError, UserFunctionError

COUNT = 30_000
TABLE = pa.table({"k": list(range(COUNT)), "text": [hashlib.sha256(b"%d" % n).hexdigest() for n in range(COUNT)]})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("memory", ["16MiB", "1GiB"])
def test_four_threads_write_the_files_that_one_writes(memory: str, tmp_path: Path) -> None:
    rows = esker.from_arrow(TABLE).shuffle("k", 16).with_options(memory=memory)
    counts = [rows.write_partitions(tmp_path / f"by {threads}", threads=threads) for threads in (1, 4)]
    assert counts[0] == counts[1]
    assert sum(counts[0]) == COUNT
    assert contents(tmp_path / "by 1") == contents(tmp_path / "by 4")


def test_every_row_is_in_the_file_of_its_partition_in_the_order_of_the_input(tmp_path: Path) -> None:
    counts = esker.from_arrow(TABLE).shuffle("k", 7).write_partitions(tmp_path / "out", threads=3)
    files = [pq.read_table(path) for path in sorted((tmp_path / "out").iterdir())]
    assert [file.num_rows for file in files] == counts
    assert all(file["k"].to_pylist() == sorted(file["k"].to_pylist()) for file in files)
    assert pa.concat_tables(files).sort_by("k").equals(TABLE)


def test_a_partition_without_rows_is_a_file_without_rows(tmp_path: Path) -> None:
    counts = esker.from_arrow({"k": [1, 1]}).shuffle("k", 4).write_partitions(tmp_path / "out")
    files = [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "out").iterdir())]
    assert files == counts
    assert sorted(counts) == [0, 0, 0, 2]


def test_rows_per_file_cuts_a_partition_in_order(tmp_path: Path) -> None:
    counts = esker.from_arrow(TABLE).shuffle("k", 2).write_partitions(tmp_path / "out", rows_per_file=4000)
    for partition, count in enumerate(counts):
        parts = sorted((tmp_path / "out").glob(f"part-{partition:05}-*.parquet"))
        rows = [pq.read_table(part)["k"].to_pylist() for part in parts]
        assert [len(part) for part in rows] == [4000] * (count // 4000) + [count % 4000]
        joined = [k for part in rows for k in part]
        assert joined == sorted(joined)


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_file_bytes_is_about_the_length_of_every_file_but_the_last(compression: str, tmp_path: Path) -> None:
    rows = esker.from_arrow(TABLE).shuffle("k", 1)
    rows.write_partitions(tmp_path / "out", file_bytes="256KiB", compression=compression)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "out").iterdir())]
    assert len(sizes) >= 4
    assert all(0.8 * (256 << 10) <= size <= 1.2 * (256 << 10) for size in sizes[1:-1]), sizes
    assert pa.concat_tables(map(pq.read_table, sorted((tmp_path / "out").iterdir()))).num_rows == COUNT


def test_overwrite_puts_the_new_folder_in_place_of_the_old_one(tmp_path: Path) -> None:
    rows = esker.from_arrow(TABLE)
    rows.shuffle("k", 8).write_partitions(tmp_path / "out")
    with pytest.raises(OutputExistsError):
        rows.shuffle("k", 2).write_partitions(tmp_path / "out")
    rows.shuffle("k", 2).write_partitions(tmp_path / "out", overwrite=True)
    assert sorted(contents(tmp_path / "out")) == ["part-00000.parquet", "part-00001.parquet"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_in_one_partition_stops_the_others_and_leaves_nothing(tmp_path: Path) -> None:
    def fail(group: pa.Table) -> pa.Table:
        if 17 in group["k"].to_pylist():
            raise ValueError("no such thing")
        return group

    mapped = esker.from_arrow(TABLE.slice(0, 500)).group_by("k").map_groups(fail, schema=TABLE.schema)
    with pytest.raises(UserFunctionError, match="no such thing"):
        mapped.write_partitions(tmp_path / "out", threads=4)
    assert list(tmp_path.iterdir()) == []


def test_a_query_that_is_cancelled_while_it_writes_leaves_nothing(tmp_path: Path) -> None:
    class CancelsWhenWriting:
        def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
            if operator == "shuffle" and list(tmp_path.rglob("*.parquet")):
                cancellation.cancel("enough")

        def close(self) -> None: ...

    cancellation = Cancellation()
    rows = esker.from_arrow(TABLE).shuffle("k", 64)
    with pytest.raises(CancelledError, match="enough"):
        rows.write_partitions(tmp_path / "out", progress=CancelsWhenWriting(), cancellation=cancellation)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_named_before_anything_is_read(tmp_path: Path) -> None:
    rows = esker.from_arrow(TABLE).shuffle("k", 2)
    for option, value in {"rows_per_file": -1, "file_bytes": "lots", "compression": "rar"}.items():
        with pytest.raises(OptionError, match=option):
            rows.write_partitions(tmp_path / "out", **{option: value})


def test_what_writers_hold_is_reserved_beside_the_shuffle(tmp_path: Path) -> None:
    rows = esker.from_arrow(TABLE).shuffle("k", 8)
    rows.write_partitions(tmp_path / "out", memory="64MiB", log=tmp_path / "log", threads=2)
    (done,) = [event for event in read_events(tmp_path / "log") if event["event"] == "query_done"]
    # The shuffle's share of what was free, and two writers' row groups.
    assert done["peak_held_bytes"] >= (64 << 20) * 0.375 + 2 * 3 * (2 << 20)
    assert done["peak_held_bytes"] <= 64 << 20
