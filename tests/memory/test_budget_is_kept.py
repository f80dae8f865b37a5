"""Shuffle, folders by key and map_groups over four times the budget stay within `memory=` plus 5 % (contracts, 1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esker.testing.peak_memory import run_measured

MEMORY = 96 << 20
ROWS_OF_A_GROUP = 1 << 17
PADDING_BYTES = 96

PREPARE = """
import sys, esker
source, out, memory = sys.argv[1:4]
data = esker.read_parquet(source).with_options(memory=int(memory), spill_folder=sys.argv[4])
"""
SHUFFLE = (
    PREPARE
    + """
rows = data.shuffle("k", 64).write_partitions(out)
print(sum(rows))
"""
)
MANY_FILES = (
    PREPARE
    + """
rows = data.shuffle("k", 1024).write_partitions(out, compression="none", threads=2)
print(sum(rows))
"""
)
FOLDERS = (
    PREPARE
    + """
print(data.write_parquet(out, partition_by="k", compression="none", threads=2))
"""
)
MAP_GROUPS = (
    PREPARE
    + """
def count(group):
    return {"k": group["k"][0].as_py(), "rows": group.num_rows, "bytes": sum(len(v) for v in group["text"].to_pylist())}
counts = data.group_by("k").map_groups(count).to_arrow()
assert counts.num_rows == 10_000, counts.num_rows
print(sum(counts["rows"].to_pylist()))
"""
)
PARTITION_BY = (
    PREPARE
    + """
parts = data.partition_by("k")
assert len(parts) == 10_000, len(parts)
print(sum(part.count() for part in parts.values()))
parts.close()
"""
)
RANGES = (
    PREPARE
    + """
print(sum(data.shuffle("text", 64, function="range").write_partitions(out)))
"""
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A Parquet file whose rows take more than four budgets in memory."""
    path = tmp_path_factory.mktemp("memory") / "rows.parquet"
    return path, _write_rows(path, 4 * MEMORY)


def _write_rows(path: Path, size_bytes: int) -> int:
    random = np.random.default_rng(7)
    row_bytes = 4 + 16 + PADDING_BYTES
    row_count = size_bytes // row_bytes + 1
    schema = pa.schema({"k": pa.int32(), "text": pa.string()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, row_count, ROWS_OF_A_GROUP):
            count = min(ROWS_OF_A_GROUP, row_count - start)
            digits = random.integers(0, 10**9, count)
            text = np.char.ljust(digits.astype("U9"), PADDING_BYTES, "x")
            keys = random.integers(0, 10_000, count).astype(np.int32)
            writer.write_table(pa.table({"k": keys, "text": pa.array(text)}, schema))
    return row_count


@pytest.mark.memory
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("shuffle", SHUFFLE),
        ("map_groups", MAP_GROUPS),
        ("partition_by", PARTITION_BY),
        ("ranges", RANGES),
        ("shuffle to 1024 files", MANY_FILES),
        pytest.param("10,000 folders", FOLDERS, marks=pytest.mark.slow),
    ],
)
def test_four_budgets_of_rows_go_through_one_budget_of_memory(
    name: str, code: str, source: tuple[Path, int], tmp_path: Path
) -> None:
    path, row_count = source
    spill = tmp_path / "spill"
    spill.mkdir()
    run = run_measured(code, [str(path), str(tmp_path / "out"), str(MEMORY), str(spill)])
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == row_count
    assert run.over_idle_bytes <= MEMORY * 1.05, (
        f"{name}: {run.over_idle_bytes / 2**20:.0f} MiB over an idle interpreter, budget {MEMORY >> 20} MiB"
    )
    assert list(spill.iterdir()) == []


LARGER_GROUPS = (
    PREPARE
    + """
def count(group):
    return {"k": group["k"][0].as_py(), "rows": group.num_rows}
print(sum(data.group_by("k").map_groups(count).to_arrow()["rows"].to_pylist()))
"""
)


@pytest.mark.memory
@pytest.mark.slow
@pytest.mark.parametrize("code", [MANY_FILES, LARGER_GROUPS], ids=["shuffle to 1024 files", "map_groups"])
@pytest.mark.parametrize("memory", [256 << 20, 512 << 20, 1 << 30], ids=["256 MiB", "512 MiB", "1 GiB"])
def test_the_larger_share_that_pages_have_of_a_larger_budget_fits_it(code: str, memory: int, tmp_path: Path) -> None:
    path, spill = tmp_path / "rows.parquet", tmp_path / "spill"
    spill.mkdir()
    row_count = _write_rows(path, memory + memory // 4)
    run = run_measured(code, [str(path), str(tmp_path / "out"), str(memory), str(spill)])
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == row_count
    assert run.over_idle_bytes <= memory * 1.05, f"{run.over_idle_bytes / 2**20:.0f} MiB over idle"
    assert list(spill.iterdir()) == []


SCAN = """
import sys, esker
data = esker.read_parquet(sys.argv[1]).with_options(memory=int(sys.argv[2]), threads=1)
print(sum(batch.num_rows for batch in data))
"""


@pytest.mark.memory
def test_a_row_group_of_twice_the_budget_is_read_within_it(tmp_path: Path) -> None:
    path, row_count = tmp_path / "one_group.parquet", 1_600_000
    digits = np.random.default_rng(5).integers(0, 10**9, row_count)
    table = pa.table({"text": np.char.ljust(digits.astype("U9"), 120, "x")})
    pq.write_table(table, path, row_group_size=row_count, compression="none")
    assert path.stat().st_size > 1.9 * MEMORY
    run = run_measured(SCAN, [str(path), str(MEMORY)])
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == row_count
    assert run.over_idle_bytes <= MEMORY * 1.05


ONE_KEY = """
import sys, esker
data = esker.read_parquet(sys.argv[1]).with_options(memory=int(sys.argv[2]), spill_folder=sys.argv[3])
def count(batches):
    key = rows = size = 0
    for batch in batches:
        key, rows = batch["k"][0].as_py(), rows + batch.num_rows
        size += sum(len(text) for text in batch["text"].to_pylist())
    return {"k": key, "rows": rows, "bytes": size}
counts = data.group_by("k", partitions=8).map_groups(count, batches=True).to_arrow().to_pylist()
whale = max(counts, key=lambda row: row["rows"])
print(len(counts), whale["k"], whale["rows"], whale["bytes"], sum(row["rows"] for row in counts))
"""


@pytest.mark.memory
def test_one_key_of_ten_budgets_streams_through_one_budget(tmp_path: Path) -> None:
    path, groups = tmp_path / "whale.parquet", 100
    row_bytes = 4 + 16 + PADDING_BYTES
    blocks = 10 * MEMORY // row_bytes // ROWS_OF_A_GROUP + 1
    digits = np.random.default_rng(7).integers(0, 10**9, ROWS_OF_A_GROUP)
    text = pa.array(np.char.ljust(digits.astype("U9"), PADDING_BYTES, "x"))
    keys = np.full(ROWS_OF_A_GROUP, 7, np.int32)
    keys[-groups:] = np.arange(groups)
    block = pa.table({"k": keys, "text": text})
    with pq.ParquetWriter(path, block.schema, compression="zstd") as writer:
        for _ in range(blocks):
            writer.write_table(block)
    spill = tmp_path / "spill"
    spill.mkdir()
    run = run_measured(ONE_KEY, [str(path), str(MEMORY), str(spill)])
    assert run.returncode == 0, run.stderr
    whale = blocks * (ROWS_OF_A_GROUP - groups + 1)
    expected = (groups, 7, whale, whale * PADDING_BYTES, blocks * ROWS_OF_A_GROUP)
    assert run.stdout.split() == [str(number) for number in expected]
    assert run.over_idle_bytes <= MEMORY * 1.05, f"{run.over_idle_bytes / 2**20:.0f} MiB over idle"
    assert list(spill.iterdir()) == []
