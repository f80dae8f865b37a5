"""`partition_by` gives the partitions of Polars, of any size, readable until nobody needs them, and leaves no file."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import esker
from esker.errors import (
    InputError,
    OptionError,
    SpillError,
    UnknownColumnError,
    UnsupportedTypeError,
    UserFunctionError,
)
from tests.unit.collection.wide import wide_table

TABLE = wide_table(400, seed=1)
KEYS = [["k"], ["s"], ["flag"], ["i8"], ["money"], ["day"], ["moment"], ["bytes"], ["k", "s"], ["flag", "clock", "k"]]


def spilled(folder: Path) -> list[Path]:
    gc.collect()
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("by", KEYS)
def test_partitions_are_those_of_polars(by: list[str], threads: int) -> None:
    parts = esker.from_arrow(TABLE).partition_by(by, partitions=8, threads=threads)
    expected = pl.from_arrow(TABLE).partition_by(by, as_dict=True)
    assert {key if len(by) > 1 else (key,) for key in parts} == set(expected)
    for key, frame in expected.items():
        part = parts[key if len(by) > 1 else key[0]]
        assert part.schema == TABLE.schema
        assert part.to_arrow()["id"].to_pylist() == frame["id"].to_list()


def test_floats_have_one_null_one_nan_and_one_zero() -> None:
    parts = esker.from_arrow(pa.table({"f": [0.0, math.nan, None, -0.0, math.nan, None], "n": range(6)})).partition_by(
        "f"
    )
    (nan,) = (key for key in parts if key is not None and math.isnan(key))
    assert len(parts) == 3
    assert [parts[key].to_arrow()["n"].to_pylist() for key in (0.0, nan, None)] == [[0, 3], [1, 4], [2, 5]]


def test_a_partition_is_a_dataset_like_any_other_and_read_again_and_again() -> None:
    calls = []

    def counted(batch: pa.RecordBatch) -> pa.RecordBatch:
        calls.append(batch.num_rows)
        return batch

    rows = esker.from_arrow(TABLE).map_batches(counted, schema=TABLE.schema)
    parts = rows.partition_by("flag")
    for _ in range(2):
        assert sum(part.count() for part in parts.values()) == TABLE.num_rows
    assert sum(calls) == TABLE.num_rows
    found = parts[True].filter("id < 100").join(parts[False], on="k", how="semi").sort("id").to_arrow()
    flags = TABLE.to_pylist()
    others = {row["k"] for row in flags if row["flag"] is False}
    assert found["id"].to_pylist() == [
        row["id"] for row in flags[:100] if row["flag"] and row["k"] is not None and row["k"] in others
    ]
    assert "flag=True" in str(parts[True].explain())


@pytest.mark.parametrize("threads", [1, 2])
def test_keys_with_more_rows_than_the_budget_are_kept_whole(threads: int, tmp_path: Path) -> None:
    count = 400_000
    keys = np.where(np.arange(count) % 4 == 0, np.arange(count) % 1000, 5000)
    table = pa.table({"k": keys, "n": np.arange(count), "text": ["x" * 100] * count})
    parts = esker.from_arrow(table).partition_by(
        "k", partitions=4, memory="16MiB", threads=threads, spill_folder=tmp_path
    )
    assert len(parts) == 251
    for key in (0, 4, 996, 5000):
        found = np.concatenate([batch["n"].to_numpy() for batch in parts[key]])
        assert (found == np.flatnonzero(keys == key)).all()
    assert sum(part.count() for part in parts.values()) == count
    assert spilled(tmp_path) != []
    del parts
    assert spilled(tmp_path) == []


def test_nested_columns_come_back_as_they_were() -> None:
    words = pa.array([["a", None], None, [], ["b"]], pa.list_(pa.dictionary(pa.int8(), pa.string())))
    table = pa.table({"k": [1, 2, 1, 2], "tags": words, "point": [{"x": n} for n in range(4)]})
    parts = esker.from_arrow(table).partition_by("k")
    assert parts[1].to_arrow().to_pylist() == table.take([0, 2]).to_pylist()
    assert parts[2].to_arrow().to_pylist() == table.take([1, 3]).to_pylist()


def test_the_file_stays_for_the_last_dataset_and_goes_with_it(tmp_path: Path) -> None:
    parts = esker.from_arrow(TABLE).partition_by("k", spill_folder=tmp_path)
    one = parts[3]
    del parts
    assert len(spilled(tmp_path)) == 2  # the rows, and the lock that says they are in use
    assert one.count() > 0
    del one
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_close_removes_the_file_and_reading_says_so(tmp_path: Path) -> None:
    with esker.from_arrow(TABLE).partition_by("k", spill_folder=tmp_path) as parts:
        half_read = iter(parts[3])
        assert parts[3].count() > 0
    assert spilled(tmp_path) == []
    with pytest.raises(InputError, match="were closed"):
        parts[3].count()
    del half_read


def test_an_interpreter_that_ends_leaves_nothing(tmp_path: Path) -> None:
    code = """
import os, sys, esker
kept = esker.from_arrow({"k": [1, 2]}).partition_by("k", spill_folder=sys.argv[1])
if os.fork() == 0:
    sys.exit()
os.wait()
print(kept[1].count(), len(os.listdir(sys.argv[1])))
"""
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "1"]
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    rows = esker.from_arrow(TABLE).with_options(spill_folder=tmp_path)
    with pytest.raises(InputError, match=r"more than keys_max=3 keys; raise keys_max="):
        rows.partition_by("k", keys_max=3)

    def broken(batch: pa.RecordBatch) -> pa.RecordBatch:
        raise ValueError("no such plane")

    with pytest.raises(UserFunctionError, match="no such plane"):
        rows.map_batches(broken, schema=TABLE.schema).partition_by("k")
    with pytest.raises(SpillError, match="spill_limit"):
        rows.partition_by("k", spill_limit="1KiB")
    assert list(tmp_path.iterdir()) == []


def test_exactly_keys_max_keys_are_enough() -> None:
    assert len(esker.from_arrow({"k": range(100)}).partition_by("k", keys_max=100)) == 100


def test_no_rows_have_no_partitions() -> None:
    assert dict(esker.from_arrow(TABLE.slice(0, 0)).partition_by("k")) == {}


def test_what_cannot_be_a_key_is_named() -> None:
    rows = esker.from_arrow(pa.table({"tags": pa.array([[1]])}))
    with pytest.raises(UnsupportedTypeError, match="by='tags'"):
        rows.partition_by("tags")
    with pytest.raises(UnknownColumnError, match="did you mean 'tags'"):
        rows.partition_by("tag")
    with pytest.raises(OptionError, match="keys_max=0"):
        esker.from_arrow(TABLE).partition_by("k", keys_max=0)
