"""Algorithms on graphs whose edges take three budgets and more stay within `memory=` plus 5 % (contracts, 1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esker.testing.peak_memory import run_measured

MEMORY = 64 << 20
VERTICES = 1_000_000
EDGES = 12_000_000
GROUP = 1 << 18
RUN = """
import sys, esker
folder, memory, algorithm, spill = sys.argv[1:5]
graph = esker.Graph(None, f"{folder}/edges.parquet").with_options(memory=int(memory), spill_folder=spill)
with graph:
    if algorithm == "page_rank":
        found = graph.page_rank(iterations=5)
    else:
        found = getattr(graph, algorithm)()
print(sum(batch.num_rows for batch in found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A power-law graph whose edges take three budgets as pairs of int64."""
    folder = tmp_path_factory.mktemp("graph")
    assert 16 * EDGES >= 2.8 * MEMORY
    _write(folder / "edges.parquet", pa.int64(), EDGES)
    return folder


def _write(path: Path, type_: pa.DataType, edges: int) -> None:
    random = np.random.default_rng(1)
    schema = pa.schema({"src": type_, "dst": type_})
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for _ in range(0, edges, GROUP):
            ends = (VERTICES * random.random((2, GROUP)) ** 2).astype(np.int64) * 1_000_003 % (1 << 40)
            columns = [pa.array(end).cast(type_) for end in ends]
            writer.write_table(pa.table(columns, schema=schema))


@pytest.mark.memory
@pytest.mark.parametrize(
    "algorithm",
    [
        "page_rank",
        "connected_components",
        pytest.param("strongly_connected_components", marks=pytest.mark.slow),
        pytest.param("core_numbers", marks=pytest.mark.slow),
        pytest.param("label_propagation", marks=pytest.mark.slow),
        pytest.param("triangle_count", marks=pytest.mark.slow),
    ],
)
def test_three_budgets_of_edges_are_scanned_in_one_budget(algorithm: str, folder: Path, tmp_path: Path) -> None:
    _measure(algorithm, folder, tmp_path, MEMORY)


@pytest.mark.memory
@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["page_rank", "connected_components"])
def test_strings_for_ids_keep_within_it_too(algorithm: str, tmp_path: Path) -> None:
    memory = 2 * MEMORY
    _write(tmp_path / "edges.parquet", pa.string(), 20 * memory // 64)
    _measure(algorithm, tmp_path, tmp_path / "spill", memory)


def _measure(algorithm: str, folder: Path, spill: Path, memory: int) -> None:
    spill.mkdir(exist_ok=True)
    run = run_measured(RUN, [str(folder), str(memory), algorithm, str(spill)])
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > VERTICES * 0.9
    assert run.over_idle_bytes <= memory * 1.05, (
        f"{algorithm}: {run.over_idle_bytes / 2**20:.0f} MiB over an idle interpreter, budget {memory >> 20} MiB"
    )
    assert list(spill.iterdir()) == []
