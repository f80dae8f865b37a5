"""The benchmark harness tells right from wrong, fast from slow, and small from large."""

from __future__ import annotations

import importlib.util
import re
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks import (
    all_pairs,
    bags,
    map_groups,
    shuffle_engines,
    shuffle_peers,
    shuffle_rows,
    spill_to_parquet,
    stream_files,
)
from benchmarks.case import Case, Digest, Setting, Workload, load
from benchmarks.contestant import Contestant, Sample
from benchmarks.harness import Figure, _had_enough, calm_rounds, measure, round_ratios

from tests.unit.house.test_versions import pins

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


def prepare_stuck(setting: Setting) -> Any:
    return lambda: time.sleep(600)


def prepare_greedy(setting: Setting) -> Any:
    return lambda: np.ones(2**28, np.uint8)


def prepare_failing(setting: Setting) -> Any:
    raise ValueError("no such engine")


def prepare_share(setting: Setting) -> Any:
    numbers = prepare(setting)()
    return lambda: time.sleep(0.02) or numbers[: len(numbers) // setting.share]


def prepare_counting(setting: Setting) -> Any:
    runs = iter(range(100))
    return lambda: time.sleep(0.3) or [1, 2, 3] + [0] * next(runs)


def digest(result: Any, data: Path) -> Digest:
    if isinstance(result, np.ndarray):
        time.sleep(60)  # until its memory is looked at, and it is stopped
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


def test_a_case_that_takes_longer_than_it_may_is_stopped_and_has_lost() -> None:
    whole = replace(workload("plain", "slow", "stuck"), seconds_max=10.0, subject="plain")
    found = {figure.case.name: figure for figure in measure(whole, repetitions=1).figures}
    assert re.fullmatch(r"took longer than its 10 s, where plain took \d+\.\d", found["stuck"].failure)
    assert found["slow"].failure == ""


def test_a_case_whose_rounds_took_long_enough_runs_no_more() -> None:
    case = Case("slow", f"{_HERE}:prepare_slow", "sleeps")
    with closing(Contestant(case, f"{_HERE}:digest", Setting(Path(), 1), 2**28)) as slow:
        slow.samples = [Sample(1, 1, 1.6, 1.0, 0, 0)]
        assert not _had_enough(slow, set(), 3.0)
        slow.samples = [Sample(1, 2, 1.6, 1.0, 0, 0)]  # twice in a round
        assert _had_enough(slow, set(), 3.0)
        assert not _had_enough(slow, set(), None)


def test_a_case_that_fails_says_why(figures: dict[str, Figure]) -> None:
    assert figures["failing"].failure == "ended with 1: ValueError: no such engine"


def test_a_missing_package_is_named(figures: dict[str, Figure]) -> None:
    assert figures["missing"].failure == "not measured: a_package_nobody_has is not installed"


def test_a_round_without_its_cores_is_not_calm() -> None:
    samples = [Sample(1, 1, 1.0, 2.0, 0, 0), Sample(2, 1, 1.0, 1.1, 0, 0), Sample(3, 1, 1.3, 2.6, 0, 0)]
    assert calm_rounds(samples, cores_min=1.8) == {1}


@pytest.mark.parametrize("number", range(len(shuffle_rows.WIDTHS)))
def test_the_peers_of_the_shuffle_come_to_the_same_rows(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A case has its process to itself and sets what it likes; here both are put back.
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    monkeypatch.setattr(pa, "set_cpu_count", lambda count: None)
    sums = list(shuffle_peers.workloads(12_000, threads=1, memory_bytes=2**30))[number]
    sums.generate(tmp_path)
    digests = {
        case.name: shuffle_rows.digest(load(case.prepare)(Setting(tmp_path, threads=1))(), tmp_path)
        for case in sums.cases
        if all(map(importlib.util.find_spec, case.requires))
    }
    assert {"memcpy", "esker", "duckdb copy", "polars sink_ipc"} <= set(digests)
    assert digests["memcpy"]["rows"] == sums.facts["rows"]
    assert digests["memcpy"]["partitions"] == shuffle_rows.PARTITIONS
    assert digests == dict.fromkeys(digests, digests["memcpy"])
    assert [path.name for path in tmp_path.iterdir()] == ["rows.arrow"]


def test_a_key_in_two_partitions_is_counted_as_misplaced(tmp_path: Path) -> None:
    next(shuffle_peers.workloads(4_000, threads=1, memory_bytes=2**30)).generate(tmp_path)
    table = shuffle_rows.read_rows(Setting(tmp_path, threads=1))
    assert shuffle_rows.digest([table.slice(0, 2_000), table.slice(2_000)], tmp_path)["misplaced_keys"] > 0


@pytest.mark.parametrize("width", shuffle_rows.WIDTHS, ids=lambda width: str(width.name))
def test_a_row_that_differs_changes_the_checksum(width: shuffle_rows.Width, tmp_path: Path) -> None:
    width.write(tmp_path, 4_000)
    table = shuffle_rows.read_rows(Setting(tmp_path, threads=1))
    lost = pa.concat_tables([table.slice(1), table.slice(1, 1)])
    first, second = (shuffle_rows.digest([rows], tmp_path) for rows in (table, lost))
    assert first["rows"] == second["rows"]
    assert first["checksum"] != second["checksum"]


def test_the_copy_is_checked_not_its_source(tmp_path: Path) -> None:
    shuffle_rows.WIDTHS[1].write(tmp_path, 4_000)
    rows = shuffle_rows.read_rows(Setting(tmp_path, threads=1))
    copied = shuffle_engines.joined_bytes(rows)
    right = shuffle_rows.digest(shuffle_engines.cut_copy(rows, copied), tmp_path)
    assert (right["rows"], right["partitions"], right["misplaced_keys"]) == (4_000, shuffle_rows.PARTITIONS, 0)
    copied[-64:] = 0
    assert shuffle_rows.digest(shuffle_engines.cut_copy(rows, copied), tmp_path) != right


def rows_of_groups(folder: Path) -> dict[int, list[tuple[int, str]]]:
    groups: dict[int, list[tuple[int, str]]] = {}
    for row in pq.read_table(folder / "rows.parquet").to_pylist():
        groups.setdefault(row["key"], []).append((row["value"], row["text"]))
    return groups


def test_map_groups_comes_to_what_plain_python_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    (whole, *_) = map_groups.workloads(40 * 3_000, threads=1, memory_bytes=2**30)
    whole.generate(tmp_path)
    expected = [
        map_groups.summarise(key, [value for value, _ in rows], [text for _, text in rows])
        for key, rows in rows_of_groups(tmp_path).items()
    ]
    assert len(expected) == 3_000 // map_groups.GROUP_ROWS
    right = map_groups.digest(pa.Table.from_pylist(expected, map_groups.RESULT), tmp_path)
    for prepare in (map_groups.prepare_esker, map_groups.prepare_polars):
        assert map_groups.digest(prepare(Setting(tmp_path, threads=1))(), tmp_path) == right


def test_a_changed_or_doubled_group_changes_the_digest(tmp_path: Path) -> None:
    groups = [map_groups.summarise(key, [key, 2], ["a", "bc"]) for key in range(9)]
    right, doubled, changed = (
        map_groups.digest(pa.Table.from_pylist(rows, map_groups.RESULT), tmp_path)
        for rows in (groups, [*groups[1:], groups[1]], [{**groups[0], "median": 1}, *groups[1:]])
    )
    assert doubled != right
    assert changed != right


def test_a_fresh_workload_runs_each_round_in_a_process_of_its_own() -> None:
    whole = replace(workload("plain", "counting"), fresh=True, rounds_max=2)
    found = {figure.case.name: figure for figure in measure(whole, repetitions=5).figures}
    assert len(found["plain"].samples) >= 2
    # Its second run in one process would come to another digest.
    assert found["counting"].failure == ""


def test_a_round_in_which_the_reference_was_stopped_gives_no_ratio() -> None:
    first, second = Sample(1, 1, 2.0, 2.0, 0, 0), Sample(2, 1, 2.0, 2.0, 0, 0)
    assert round_ratios([first, second], [first], {1, 2}) == [1.0]


def test_a_case_on_a_share_of_the_rows_is_held_against_that_share(tmp_path: Path) -> None:
    def sample(number: int, seconds: float) -> Sample:
        return Sample(number, 1, seconds, seconds, 0, 0)

    assert round_ratios([sample(1, 2.0)], [sample(1, 1.0)], {1}, share=4) == [0.125]
    shuffle_rows.WIDTHS[0].write(tmp_path, 4_000)
    assert shuffle_rows.read_rows(Setting(tmp_path, threads=1, share=4)).num_rows == 1_000


def test_a_case_on_a_share_is_checked_against_the_reference_on_that_share() -> None:
    share = partial(Case, does="sleeps", prepare=f"{_HERE}:prepare_share")
    cases = (share("all"), share("third", share=3), Case("wrong", f"{_HERE}:prepare_plain", "sleeps", share=3))
    whole = replace(workload(), cases=cases, reference="all")
    failures = {figure.case.name: figure.failure for figure in measure(whole, repetitions=1).figures}
    assert failures["all"] == failures["third"] == ""
    assert failures["wrong"].startswith("wrong result")


def test_only_named_cases_are_kept() -> None:
    kept = replace(workload("plain", "slow", "wrong"), subject="slow").with_cases(["missing"])
    assert [case.name for case in kept.cases] == ["plain", "slow", "missing"]


def test_every_package_a_case_requires_is_pinned() -> None:
    suites = (
        shuffle_peers.workloads,
        shuffle_peers.slow_workloads,
        map_groups.workloads,
        stream_files.workloads,
        all_pairs.workloads,
        bags.workloads,
        bags.group_workloads,
    )
    required = {
        name for suite in suites for whole in suite(4_000, 1, 2**30) for case in whole.cases for name in case.requires
    }
    assert required - set(pins()) - set(pins("bench.txt")) - {"distributed", "partd"} == set()


def workloads_of_peers() -> list[Workload]:
    numbers, texts, *_ = shuffle_peers.workloads(40_000, 2, 2**32)
    slow, *_ = shuffle_peers.slow_workloads(40_000, 2, 2**32)
    once, *_ = map_groups.workloads(40_000, 2, 2**32)
    _, question, *_ = bags.workloads(120, 2, 2**32)
    return [numbers, texts, slow, once, question]


def test_all_ways_to_do_the_jobs_of_source_000_come_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    monkeypatch.setattr(bags, "COLUMNS", 40)
    bags.write_csv(tmp_path, 30)
    for job in (whole for whole in bags.workloads(120, 2, 2**30) if whole.facts.get("rows") == 30):
        digests = {
            case.name: bags.digest_folder(load(case.prepare)(Setting(tmp_path, threads=2))(), tmp_path)
            for case in job.cases
            if case.name != "esker.compat" and all(map(importlib.util.find_spec, case.requires))
        }
        assert {"one thread", "esker"} <= set(digests)
        assert digests["one thread"]["lines"] == 40
        assert digests == dict.fromkeys(digests, digests["one thread"])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("whole", workloads_of_peers(), ids=lambda whole: str(whole.name))
def test_no_peer_that_is_installed_fails(whole: Workload) -> None:
    failures = {figure.case.name: figure.failure for figure in measure(whole, repetitions=1).figures}
    assert {name: failure for name, failure in failures.items() if failure.startswith(("wrong", "ended", "took"))} == {}


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


@pytest.mark.parametrize("suite", [stream_files, all_pairs], ids=["stream_files", "all_pairs"])
def test_all_ways_to_stream_and_to_walk_come_to_the_same(suite: Any, tmp_path: Path) -> None:
    for whole in suite.workloads(20_000, threads=2, memory_bytes=2**30):
        whole.generate(tmp_path)
        digests = {
            case.name: suite.digest(load(case.prepare)(Setting(tmp_path, threads=2))(), tmp_path)
            for case in whole.cases
            if all(map(importlib.util.find_spec, case.requires))
        }
        assert len(digests) >= 4
        assert digests == dict.fromkeys(digests, digests[whole.reference])


def test_the_order_of_chunks_counts(tmp_path: Path) -> None:
    assert stream_files.digest([1, 2], tmp_path) != stream_files.digest([2, 1], tmp_path)


def test_a_loop_reads_one_chunk_ahead_of_its_sink(tmp_path: Path) -> None:
    stream_files.write(tmp_path, 4)
    assert stream_files.most_ahead(stream_files.run_loop, tmp_path / "data") == stream_files.CHUNK_BYTES
