"""`esker thaw`: what it fetched is there for the find that follows."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.servers import ministack
from tests.unit.cli.command import Run

import esker
import esker.thaw.reader


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


@pytest.fixture
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """Three objects in an archive that takes its time, and the bucket they lie in."""
    server = ministack()
    monkeypatch.setattr(esker.thaw.reader, "POLL_SECONDS", 0.2)
    bucket = f"thaw-{tmp_path.name}".replace("_", "-").lower()[:60]
    rows = {"id": list(range(300)), "note": [f"note {row} " * 5 for row in range(300)]}
    tier = server.uri(f"{bucket}/cold")
    esker.freeze(rows, tmp_path / "cold.esker", keys="id", tier=tier, extent_rows=100)
    return tmp_path / "cold.esker", bucket


def states(document: str) -> list[str]:
    return [one["state"] for one in json.loads(document)["extents"]]


def test_start_asks_once_for_what_is_needed_and_status_says_how_far_it_is(run: Run, cold: tuple[Path, str]) -> None:
    source, bucket = cold
    before = run("thaw", "status", source, "id < 150", "--json")
    assert before.code == 0, before.err
    assert states(before.out) == ["cold", "cold"]
    refused = run("thaw", "start", source, "id < 150", "--max-cost", "money=0")
    assert refused.code == 1 and "money" in refused.err
    assert states(run("thaw", "status", source, "id < 150", "--json").out) == ["cold", "cold"]

    started = run("thaw", "start", source, "id < 150", "--json")
    assert started.code == 0, started.err
    assert json.loads(started.out)["cost"]["money"] > 0
    assert "cold" not in states(started.out)
    assert run("thaw", "start", source, "id < 150").code == 0
    asked = [path for method, path, _ in ministack().requests(f"{bucket}/") if method == "POST" and "restore" in path]
    assert len(asked) == len(set(asked)) == 2, "each object once, and none that is not needed"


def test_what_lies_on_disk_is_ready(run: Run, notes: Path) -> None:
    ended = run("thaw", "status", notes)
    assert ended.code == 0 and ended.out.startswith("ready")
    assert "1 of 1 objects are ready" in ended.err
    assert run("thaw", "start", notes).code == 0


def test_rows_that_are_not_frozen_cannot_be_thawed(run: Run, flights: Path) -> None:
    ended = run("thaw", "status", flights)
    assert ended.code == 2 and "nothing of this is frozen" in ended.err


def test_resume_is_what_thaw_does_without_a_command(run: Run, notes: Path, tmp_path: Path) -> None:
    first = run("thaw", "resume", notes, "id = 7", "--cache", tmp_path / "cache", "--json")
    again = run("thaw", notes, "id = 7", "--cache", tmp_path / "cache", "--json")
    assert (first.code, again.code) == (0, 0)
    assert actual(first.out)["bytes"] > 0 and actual(again.out)["bytes"] == 0


@pytest.mark.parametrize(("answer", "code"), [("\n", 130), ("no\n", 130), ("y\n", 0)])
def test_a_person_is_asked_before_money_is_spent_and_a_script_is_not(
    run: Run, cold: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    source, _ = cold
    monkeypatch.setattr("sys.stdin", Typed(answer))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    ended = run("thaw", "start", source, "id < 150", "--quiet")
    assert ended.code == code and "$" in ended.err and "go on? [y/N]" in ended.err
    assert ("cold" in states(run("thaw", "status", source, "id < 150", "--json").out)) == (code != 0)
    # Nothing is asked where nothing is cold any more, or with --yes.
    assert "go on?" not in run("thaw", "start", source, "id < 150", "--yes").err


class Typed(io.StringIO):
    """A terminal that someone types an answer at."""

    def isatty(self) -> bool:
        return True
