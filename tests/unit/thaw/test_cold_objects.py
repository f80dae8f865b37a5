"""Objects in a real archive (ministack): a join restores those it touches, once, and reads none that is cold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import esker
import esker.thaw.reader
from esker.core.cancellation import Cancellation
from esker.core.progress import Silent
from esker.errors import CancelledError, CostLimitError, NotThawedError
from tests.servers import Ministack, ministack

ROWS, EXTENT_ROWS = 3000, 500
ARCHIVED = pa.table({"id": np.arange(ROWS), "note": [f"note {row} " * 5 for row in range(ROWS)]})
# Rows of the second and of the last object, and ids that are nowhere.
ASKED = pa.table({"id": [501, 502, 999, 2999, 90_000], "why": list("abcde")})
TOUCHED = 2


class StopsWaiting(Silent):
    """Cancels the query as soon as it waits for a restore."""

    def __init__(self, token: Cancellation) -> None:
        self._token = token

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        if operator == "recall":
            self._token.cancel("stopped")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ministack]:
    monkeypatch.setattr(esker.thaw.reader, "POLL_SECONDS", 0.2)
    yield ministack()


def archived(server: Ministack, folder: Path, bucket: str) -> esker.Dataset:
    tier = server.uri(f"{bucket}/cold")
    esker.freeze(ARCHIVED, folder / "notes.esker", keys="id", tier=tier, extent_rows=EXTENT_ROWS)
    return esker.read(folder / "notes.esker")


def restores(server: Ministack, bucket: str) -> list[str]:
    """The objects that were asked for, and the store's answers to reads before they were there."""
    found = server.requests(f"{bucket}/")
    assert not [request for request in found if request[0] == "GET" and request[2] == 403], "a cold object was read"
    return [path for method, path, _ in found if method == "POST" and "restore" in path]


def joined(notes: esker.Dataset) -> esker.Dataset:
    return esker.from_arrow(ASKED).join(notes, on="id", algorithm="asj")


def test_a_join_restores_the_objects_it_touches_and_none_twice(server: Ministack, tmp_path: Path) -> None:
    notes = archived(server, tmp_path, "cold-join")
    plan = joined(notes).explain()
    estimated = next(step.estimated for step in plan.walk() if step.operator.startswith("join"))
    assert estimated is not None and estimated.money > 0 and estimated.seconds > 3600
    assert restores(server, "cold-join") == [], "nothing is asked for before the price is known"
    with pytest.raises(CostLimitError, match="money"):
        joined(notes).with_options(max_cost={"money": estimated.money / 2}).to_arrow()
    assert restores(server, "cold-join") == []

    with pytest.raises(NotThawedError, match="nothing was asked for"):
        joined(notes).with_options(deadline="2h").to_arrow()
    assert restores(server, "cold-join") == []

    # A run that ends while its objects are on their way, as a killed one does.
    token = Cancellation()
    with pytest.raises(CancelledError):
        joined(notes).with_options(cancellation=token, progress=StopsWaiting(token)).to_arrow()
    assert len(restores(server, "cold-join")) == TOUCHED
    rows = joined(esker.read(tmp_path / "notes.esker")).to_arrow()
    assert rows.sort_by("id")["note"].to_pylist() == [f"note {row} " * 5 for row in (501, 502, 999, 2999)]
    assert len(restores(server, "cold-join")) == TOUCHED
    assert joined(notes).to_arrow().num_rows == 4
    assert len(restores(server, "cold-join")) == TOUCHED


def test_a_find_says_which_objects_it_must_restore_and_reads_them(server: Ministack, tmp_path: Path) -> None:
    notes = archived(server, tmp_path, "cold-find").filter("id BETWEEN 990 AND 1010")
    plan = notes.explain()
    assert any("2 objects first" in str(step.detail.get("recall")) for step in plan.walk())
    result = notes.execute()
    assert result.to_arrow()["id"].to_pylist() == list(range(990, 1011))
    assert len(restores(server, "cold-find")) == 2
