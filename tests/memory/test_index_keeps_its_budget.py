"""Building an index of a column with many distinct values stays within `memory=` plus 5 % (contracts, 1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esker.testing.peak_memory import run_measured

BUILD = """
import sys, esker
source, target, memory, spill, count = sys.argv[1:6]
with esker.build_index(
    esker.read_parquet(source), target, {"key": "equality"}, memory=int(memory), spill_folder=spill
) as index:
    print(index.statistics()["vectors"], index.count("key = 77"), index.statistics()["vectors_read"])
"""


def write_keys(path: Path, row_count: int, value_count: int) -> int:
    """Write keys in no order; says how often 77 is among them."""
    chance = np.random.default_rng(5)
    seen = 0
    with pq.ParquetWriter(path, pa.schema([("key", pa.int64())])) as writer:
        for first in range(0, row_count, 1 << 20):
            keys = chance.integers(0, value_count, min(1 << 20, row_count - first))
            seen += int((keys == 77).sum())
            writer.write_table(pa.table({"key": keys}), row_group_size=1 << 17)
    return seen


def check(tmp_path: Path, row_count: int, value_count: int, memory: int, timeout: float) -> None:
    source = tmp_path / "keys.parquet"
    wanted = write_keys(source, row_count, value_count)
    spill = tmp_path / "spill"
    spill.mkdir()
    arguments = [str(source), str(tmp_path / "k.index"), str(memory), str(spill), str(value_count)]
    run = run_measured(BUILD, arguments, timeout_seconds=timeout)
    assert run.returncode == 0, run.stderr[-2000:]
    vectors, found, read = (int(word) for word in run.stdout.split())
    assert (found, read) == (wanted, 1)
    assert value_count * 0.99 <= vectors <= value_count + 2
    assert run.over_idle_bytes <= 1.05 * memory, f"{run.over_idle_bytes >> 20} MiB of {memory >> 20}"
    assert list(spill.iterdir()) == []


@pytest.mark.memory
def test_an_index_of_many_values_stays_within_its_budget(tmp_path):
    # 3 million rows of 300,000 values: with their row ids twice the 48 MiB.
    check(tmp_path, 3_000_000, 300_000, 64 << 20, 250)


@pytest.mark.memory
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_ten_million_values_in_a_hundred_million_rows_stay_within_512_mib(tmp_path):
    check(tmp_path, 100_000_000, 10_000_000, 512 << 20, 7_000)
