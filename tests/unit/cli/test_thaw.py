"""`esker thaw`: what it fetched is there for the find that follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli.command import Run

import esker


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    rows = {"id": list(range(3000)), "note": [f"{row} " * 50 for row in range(3000)]}
    esker.freeze(rows, tmp_path / "notes.esker", keys="id")
    return tmp_path / "notes.esker"


def actual(document: str) -> dict[str, int]:
    plan = json.loads(document)["plan"]
    while plan["actual"] is None:
        plan = plan["inputs"][0]
    return dict(plan["actual"])


def test_a_find_after_a_thaw_reads_nothing_of_the_payload(run: Run, notes: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    thawed = run("thaw", notes, "id BETWEEN 100 AND 110", "--cache", cache, "--deadline", "1h", "--json")
    assert thawed.code == 0, thawed.err
    assert json.loads(thawed.out)["row_count"] == 11
    assert actual(thawed.out)["bytes"] > 0
    found = run("find", notes, "id BETWEEN 100 AND 110", "--cache", cache, "--json")
    assert json.loads(found.out)["row_count"] == 11
    assert actual(found.out)["bytes"] == actual(found.out)["requests"] == 0


def test_a_dry_run_shows_the_plan_and_keeps_nothing(run: Run, notes: Path, tmp_path: Path) -> None:
    shown = run("thaw", notes, "id = 7", "--columns", "note", "--cache", tmp_path / "cache", "--dry-run")
    assert shown.code == 0 and "estimated" in shown.out
    assert not (tmp_path / "cache").exists() or not [*(tmp_path / "cache").iterdir()]


def test_without_a_place_to_keep_it_nothing_is_fetched(run: Run, notes: Path) -> None:
    refused = run("thaw", notes)
    assert refused.code == 2
    assert "--cache FOLDER" in refused.err


def test_a_deadline_or_limit_that_is_none_is_a_wrong_call(run: Run, notes: Path) -> None:
    refused = run("find", notes, "id = 1", "--deadline", "soon")
    assert refused.code == 2 and "no duration" in refused.err
