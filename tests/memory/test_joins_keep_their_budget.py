"""Joins of inputs three times the budget stay within `memory=` plus 5 % (contracts, 1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esker.testing.peak_memory import run_measured

MEMORY = 96 << 20
ROWS = {"left": 1_000_000, "right": 500_000}
TEXT_BYTES = 200
JOIN = """
import sys, esker
folder, algorithm, memory, spill = sys.argv[1:5]
left, right = (esker.read_parquet(f"{folder}/{name}.parquet") for name in ("left", "right"))
joined = left.join(right, on="k", algorithm=algorithm).with_options(memory=int(memory), spill_folder=spill)
print(sum(batch.num_rows for batch in joined))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two Parquet files of keys and text; half of the left keys have a partner, spread evenly."""
    folder = tmp_path_factory.mktemp("joins")
    for seed, (name, row_count) in enumerate(ROWS.items()):
        random = np.random.default_rng(seed)
        schema = pa.schema({"k": pa.int64(), f"{name}_text": pa.string()})
        with pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="none") as writer:
            for start in range(0, row_count, 50_000):
                keys = np.arange(start, start + 50_000) * (2 if name == "right" else 1)
                text = np.char.ljust(random.integers(0, 10**9, 50_000).astype("U9"), TEXT_BYTES, "x")
                writer.write_table(pa.table([random.permutation(keys), text], schema=schema))
    return folder


@pytest.mark.memory
@pytest.mark.parametrize("algorithm", ["asj", "hash", "sort_merge", "cdt_gh"])
def test_three_budgets_of_rows_are_joined_in_one_budget_of_memory(algorithm: str, folder: Path, tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) > 3 * MEMORY
    run = run_measured(JOIN, [str(folder), algorithm, str(MEMORY), str(tmp_path)])
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == ROWS["right"]
    assert run.over_idle_bytes <= MEMORY * 1.05, (
        f"{algorithm}: {run.over_idle_bytes / 2**20:.0f} MiB over an idle interpreter, budget {MEMORY >> 20} MiB"
    )
    assert list(tmp_path.iterdir()) == []
