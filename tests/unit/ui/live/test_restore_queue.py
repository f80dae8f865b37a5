"""The page follows a query whose objects are really restored, by an S3 server with Glacier's semantics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.servers import ministack
from tests.unit.ui.live.serving import events_of, serving

import esker
import esker.thaw.reader

HOURS = 3600.0


@pytest.fixture
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Three objects of 100 rows in an archive that takes its time."""
    server = ministack()
    monkeypatch.setattr(esker.thaw.reader, "POLL_SECONDS", 0.2)
    bucket = f"page-{tmp_path.name}".replace("_", "-").lower()[:60]
    rows = {"id": list(range(300)), "note": [f"note {row} " * 5 for row in range(300)]}
    esker.freeze(rows, tmp_path / "cold.esker", keys="id", tier=server.uri(f"{bucket}/cold"), extent_rows=100)
    yield tmp_path / "cold.esker"
    server.put_clock_ahead(0)


class StopsTheClock:
    """Progress that sets the server's clock back once objects were asked for: they stay cold until it is put on."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def watch(self, event: Mapping[str, Any]) -> None:
        if event["event"] in ("recall", "recall_waiting") and self._seconds > -2 * 60:
            self._seconds -= 60
            ministack().put_clock_ahead(self._seconds)

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        """Nothing: the log says it all."""

    def close(self) -> None:
        """Nothing is held."""


def until(events: Iterator[tuple[str, Any]], holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The parts of the page as they are when something first holds."""
    parts: dict[str, Any] = {}
    for name, data in events:
        parts[name] = data
        if parts.get("extents") and parts.get("summary") and holds(parts):
            return parts
    raise AssertionError("the stream ended before it was so")


def is_done_and_read(parts: dict[str, Any]) -> bool:
    states = {one["state"] for one in parts["extents"]["extents"]}
    return parts["summary"]["state"] == "done" and states == {"read"}


@pytest.mark.slow
def test_objects_are_seen_to_be_asked_for_to_become_readable_and_to_be_read(cold: Path, tmp_path: Path) -> None:
    log = tmp_path / "find.jsonl"
    found: list[int] = []
    query = esker.find(cold, "id < 150", columns=["note"]).with_options(log=log, progress=StopsTheClock())
    thread = threading.Thread(target=lambda: found.append(query.to_arrow().num_rows))
    with serving(tmp_path) as server:
        thread.start()
        while not log.exists():
            thread.join(0.05)
        with events_of(server, f"?log={log.name}") as events:
            asked = until(events, lambda parts: parts["extents"]["counts"]["asked"] == 2)["extents"]
            assert [one["state"] for one in asked["extents"]] == ["asked", "asked"]
            assert all(one["size"] > 0 and one.get("ready") is None for one in asked["extents"])
            assert asked["recalled"] and asked["thaws"][0]["recall"]["money"] > 0
            assert not found, "nothing can be read before it is restored"
            ministack().put_clock_ahead(48 * HOURS)
            # Each part comes in an event of its own, the summary first.
            parts = until(events, is_done_and_read)
            assert parts["summary"]["rows"] == 150
            assert len(parts["extents"]["extents"]) == 2
            assert all(one.get("ready") is not None and one["bytes"] > 0 for one in parts["extents"]["extents"])
    thread.join(60)
    assert found == [150]
