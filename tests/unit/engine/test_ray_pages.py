"""Where the nodes of a Ray cluster keep pages, without Ray."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from esker.engine.bag.moved import NodePlace, at_hand
from esker.engine.objects.runs import RunWriter
from esker.engine.page_nodes import NoPlaceError
from esker.engine.ray_session import RayPages
from esker.engine.remote import Patience
from esker.errors import CorruptError, SpillError, WorkerLostError
from esker.runtime.flight import Security
from esker.shuffle.page_server import Place, Places


class _Ray:
    """Nodes, each with one actor that says where it keeps pages, or is being started again."""

    def __init__(self, *nodes: str) -> None:
        self.started = dict.fromkeys(nodes, 1)
        self.util = SimpleNamespace(
            scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
        )

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": node, "Alive": True, "Resources": {"CPU": 1.0}} for node in self.started]

    def remote(self, kind: object) -> Any:
        return SimpleNamespace(options=lambda scheduling_strategy, **_: self._actor(scheduling_strategy))

    def _actor(self, node: str) -> Any:
        handle = SimpleNamespace(place=SimpleNamespace(remote=lambda: node))
        return SimpleNamespace(remote=lambda *arguments: handle)

    def get(self, node: str, timeout: float) -> Place:
        return Place(f"/pages/{node}-{self.started[node]}", f"grpc://{node}:1")


def test_a_node_whose_actor_was_started_again_is_asked_anew_when_a_task_finds_no_folder() -> None:
    ray = _Ray("a", "b")
    pages = RayPages(ray, Security("a token"), None, only_here=True)
    ray.started["a"] = 2
    session: Any = SimpleNamespace(pages=lambda: pages)
    patience = Patience(SimpleNamespace(shuffles={}), session)  # type: ignore[arg-type]  # no query, no shuffle
    patience.bear(WorkerLostError("a worker died"))
    assert pages.places().nodes["a"].folder == "/pages/a-1"
    patience.bear(NoPlaceError.of("a"))
    assert {node: place.folder for node, place in pages.places().nodes.items()} == {
        "a": "/pages/a-2",
        "b": "/pages/b-1",
    }
    with pytest.raises(NoPlaceError, match="node a has no folder"):
        patience.bear(NoPlaceError.of("a"))


def test_a_task_whose_folder_goes_while_it_writes_has_no_place_and_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    places = Places({"a": Place(str(folder), "")}, lambda: "a")
    place = NodePlace(places, "1", "reduce", 1 << 20).here().below("2")
    _, fd = place.new_file(0)
    os.close(fd)
    assert isinstance(place.failure(OSError(28, "No space left on device")), SpillError)
    shutil.rmtree(folder)
    with pytest.raises(NoPlaceError, match="node a has no folder"), RunWriter(place, 1) as writer:
        writer.write_batches("records", [])
    with pytest.raises(NoPlaceError):
        NodePlace(places, "1", "reduce", 1 << 20).here()


def test_a_damaged_section_is_told_as_one_while_its_folder_is_there(tmp_path: Path) -> None:
    place = NodePlace(Places({"a": Place(str(tmp_path), "")}, lambda: "a", Security("a token")), "1", "reduce", 1 << 20)
    with pytest.raises(CorruptError), at_hand([[]], place):
        raise CorruptError("damaged")
    with pytest.raises(NoPlaceError), at_hand([[]], place):
        shutil.rmtree(tmp_path)
        raise CorruptError("not there")
