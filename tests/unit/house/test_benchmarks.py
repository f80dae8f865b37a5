"""The benchmark harness tells right from wrong, fast from slow, and small from large."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from benchmarks import shuffle_peers, spill_to_parquet
from benchmarks.case import Case, Digest, Setting, Workload
from benchmarks.contestant import Sample
from benchmarks.harness import Figure, calm_rounds, measure

_HERE = "tests.unit.house.test_benchmarks"


def generate(folder: Path) -> None:
    (folder / "numbers").write_text("1 2 3", encoding="utf-8")


def prepare(setting: Setting, wait_seconds: float = 0.0, extra: int = 0) -> Any:
    numbers = [int(word) for word in (setting.data / "numbers").read_text(encoding="utf-8").split()]

    def run() -> list[int]:
        time.sleep(wait_seconds)
        return numbers + [extra] * bool(extra)

    return run


prepare_plain = partial(prepare, wait_seconds=0.02)
prepare_slow = partial(prepare, wait_seconds=0.1)
prepare_wrong = partial(prepare, extra=4)


def prepare_greedy(setting: Setting) -> Any:
    return lambda: np.ones(2**28, np.uint8)


def prepare_failing(setting: Setting) -> Any:
    raise ValueError("no such engine")


def digest(result: Any, data: Path) -> Digest:
    if isinstance(result, np.ndarray):
        time.sleep(0.5)  # long enough for its memory to be looked at
    return {"count": len(result), "sum": int(sum(result[:10]))}


def workload(*names: str, memory_bytes: int = 2**28) -> Workload:
    cases = tuple(Case(name, f"{_HERE}:prepare_{name}", "sleeps") for name in names)
    missing = Case("missing", f"{_HERE}:prepare_plain", "is not there", ("a_package_nobody_has",))
    return Workload("sums", "sums", generate, (*cases, missing), "plain", f"{_HERE}:digest", memory_bytes)


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    outcome = measure(workload("plain", "slow", "wrong", "greedy", "failing"), repetitions=1)
    return {figure.case.name: figure for figure in outcome.figures}


def test_the_reference_is_one_and_every_right_case_has_a_ratio(figures: dict[str, Figure]) -> None:
    assert figures["plain"].ratio == 1.0
    assert figures["slow"].ratio > 0.0


def test_a_wrong_result_has_no_figure(figures: dict[str, Figure]) -> None:
    assert figures["wrong"].ratios == ()
    assert figures["wrong"].failure.startswith("wrong result: {'count': 4, 'sum': 10}")


def test_a_case_that_takes_more_memory_than_it_may_is_stopped(figures: dict[str, Figure]) -> None:
    assert figures["greedy"].failure == "took more than its 256 MiB"


def test_a_case_that_fails_says_why(figures: dict[str, Figure]) -> None:
    assert figures["failing"].failure == "ended with 1: ValueError: no such engine"


def test_a_missing_package_is_named(figures: dict[str, Figure]) -> None:
    assert figures["missing"].failure == "not measured: a_package_nobody_has is not installed"


def test_a_round_without_its_cores_is_not_calm() -> None:
    samples = [Sample(1, 1, 1.0, 2.0, 0, 0), Sample(2, 1, 1.0, 1.1, 0, 0), Sample(3, 1, 1.3, 2.6, 0, 0)]
    assert calm_rounds(samples, cores_min=1.8) == {1}


@pytest.mark.parametrize("number", [0, 1])
def test_the_peers_of_the_shuffle_come_to_the_same_rows(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A case has its process to itself and sets what it likes; here both are put back.
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    monkeypatch.setattr(pa, "set_cpu_count", lambda count: None)
    sums = list(shuffle_peers.workloads(4_000, threads=1, memory_bytes=2**30))[number]
    sums.generate(tmp_path)
    setting = Setting(tmp_path, threads=1)
    names = ("memcpy", "esker", "pyarrow", "polars", "duckdb")
    prepares = [getattr(shuffle_peers, f"prepare_{name}") for name in names]
    digests = [shuffle_peers.digest(prepare(setting)(), tmp_path) for prepare in prepares]
    assert digests[0]["rows"] == sums.facts["rows"]
    assert digests == [digests[0]] * len(prepares)


def test_a_key_in_two_partitions_is_counted_as_misplaced(tmp_path: Path) -> None:
    next(shuffle_peers.workloads(4_000, threads=1, memory_bytes=2**30)).generate(tmp_path)
    (table,) = shuffle_peers.prepare_memcpy(Setting(tmp_path, threads=1))()
    assert shuffle_peers.digest([table.slice(0, 2_000), table.slice(2_000)], tmp_path)["misplaced_keys"] > 0


def test_both_ways_to_spill_to_parquet_come_to_the_rows_of_the_source(tmp_path: Path) -> None:
    cells = spill_to_parquet.workloads(20_000, threads=2, memory_bytes=2**30)
    cell = next(cells)  # the source lives as long as there may be more of them
    cell.generate(tmp_path)
    source = spill_to_parquet.digest([tmp_path / "rows.parquet"], tmp_path)
    assert (source["rows"], source["misplaced_keys"]) == (20_000, 0)
    for name in ("duckdb", "esker"):
        prepare = getattr(spill_to_parquet, f"prepare_{name}")
        written = prepare(Setting(tmp_path, threads=2))()
        assert len(written) == cell.facts["partitions"]
        assert spill_to_parquet.digest(written, tmp_path) == source


def test_a_key_in_two_files_is_counted_as_misplaced(tmp_path: Path) -> None:
    for name in ("a", "b"):
        spill_to_parquet.write_rows(tmp_path / name, 1_000)
    assert spill_to_parquet.digest([tmp_path / "a", tmp_path / "b"], tmp_path)["misplaced_keys"] > 0
