"""The deputy and the script's side of it, in one process and without Ray."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from esker.core.spill import SpillFolder
from esker.engine import ray_deputy
from esker.engine.page_nodes import Giver
from esker.engine.ray_client_session import FarPages
from esker.engine.ray_deputy import Deputy, DeputyLine, Facts
from esker.engine.ray_session import ray_node
from esker.errors import PeerError, ResourceError, SessionLostError
from esker.runtime.flight import Security, ServerAddress
from esker.runtime.ray_relay import PART_BYTES
from esker.shuffle.file_bytes import CREDIT_BYTES, FilePart, FileReader
from esker.shuffle.page_server import PageServer, Place, Places

SECURITY = Security("a token of the tests")


class _Pages:
    """What the deputy has of a cluster: one node, whose folder and server are those of its giver."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._folder = SpillFolder()
        self._server = PageServer(self._folder.path, ServerAddress("127.0.0.1:0"), SECURITY)
        self.removed: list[str] = []
        self.looked: list[str] = []
        self.closed = False

    def places(self) -> Places:
        return Places({"n": Place(str(self._folder.path), f"grpc://127.0.0.1:{self._server.port}")}, ray_node, SECURITY)

    def giver(self) -> Giver:
        return Giver(self._folder, self.places().nodes["n"].location, "n")

    def lost(self, outputs: list[Any]) -> list[Any]:
        return [output for output in outputs if not (self._folder.path / output.name).exists()]

    def look_again(self, node: str) -> None:
        self.looked.append(node)

    def remove(self, shuffle: str) -> None:
        self.removed.append(shuffle)

    def close(self) -> None:
        self.closed = True
        self._server.shutdown()
        self._folder.close()


@pytest.fixture
def deputy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deputy]:
    monkeypatch.setattr(ray_deputy, "RayPages", _Pages)
    monkeypatch.setattr(ray_deputy, "require_ray", lambda: SimpleNamespace())
    found = Deputy(SECURITY, None)
    yield found
    found.answer("close", ())


class _Ray:
    """Ray, as far as the script's side asks it: the actor is an object here, and every call is pickled."""

    def __init__(self, deputy: Any) -> None:
        self._deputy = deputy
        self.killed = 0

    def remote(self, kind: object) -> Any:
        handle = SimpleNamespace(answer=SimpleNamespace(remote=lambda *asked: pickle.dumps(asked)))
        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=lambda *arguments: handle))

    def get(self, asked: bytes) -> Any:
        return pickle.loads(pickle.dumps(self._deputy.answer(*pickle.loads(asked))))

    def kill(self, actor: object, no_restart: bool) -> None:
        self.killed += 1


@pytest.fixture
def line(deputy: Deputy, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeputyLine]:
    facts = Facts(ray_deputy.VERSION, "n", 1, (2,))
    monkeypatch.setitem(deputy._words, "facts", lambda: facts)
    found = DeputyLine(_Ray(deputy), "ray://there:1", SECURITY, None)
    yield found
    found.close()


def test_bytes_of_files_come_through_the_deputy_as_they_were_given(line: DeputyLine, tmp_path: Path) -> None:
    pages = FarPages(line.ask, SECURITY)
    giver = pages.giver()
    data = np.random.default_rng(1).integers(0, 256, CREDIT_BYTES + PART_BYTES + 77, np.uint8).tobytes()
    path = giver.folder.path / "1-broadcast"
    path.write_bytes(data)
    pages.give(path)
    part = FilePart(giver.node, path.name, 5, len(data), zlib.crc32(data[5:]))
    with FileReader(pages.places().client, SECURITY) as reader:
        assert b"".join(reader.read(part)) == data[5:]
    assert pages.lost([part, part._replace(name="2-gone")]) == [part._replace(name="2-gone")]
    pages.remove("1")
    with FileReader(pages.places().client, SECURITY) as reader, pytest.raises(PeerError, match="there is no 1-broad"):
        list(reader.read(part))
    pages.close()
    assert not path.parent.exists()


def test_places_are_those_of_any_task_once_they_are_sent(line: DeputyLine) -> None:
    places = FarPages(line.ask, SECURITY).places()
    assert places.here() == ""
    sent = pickle.loads(pickle.dumps(places))
    assert type(sent) is Places
    assert (sent.nodes, sent.here, sent.security) == (places.nodes, ray_node, SECURITY)


def test_places_are_asked_for_anew_when_something_may_be_lost(deputy: Deputy, line: DeputyLine) -> None:
    pages = FarPages(line.ask, SECURITY)
    before = pages.places()
    deputy._words["places"] = lambda: {"m": before.nodes["n"]}
    assert pages.places() == before
    pages.lost([])
    assert pages.places().nodes == {"m": before.nodes["n"]}
    deputy._words["places"] = lambda: {"o": before.nodes["n"]}
    pages.look_again("m")
    assert [*pages.places().nodes] == ["o"]
    assert deputy._pages.looked == ["m"]  # type: ignore[attr-defined]  # a stand-in


def test_a_deputy_that_hears_nothing_ends_its_work_and_says_so(
    deputy: Deputy, line: DeputyLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert line.ask("places")
    pages: Any = deputy._pages
    line._closed.set()  # the script says nothing any more
    monkeypatch.setattr(ray_deputy, "WORD_SECONDS", 0.001)
    assert deputy._closed.wait(60)
    deputy._watching.join(60)
    assert pages.closed
    with pytest.raises(SessionLostError, match="had not heard"):
        line._ask("places")


def test_who_does_not_answer_is_named(line: DeputyLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(asked: bytes) -> None:
        raise RuntimeError("the actor died\nmore\nOSError: no such thing")

    monkeypatch.setattr(line._ray, "get", broken)
    with pytest.raises(SessionLostError, match=r"ray://there:1.*process 1 at node n.*the actor died OSError: no such"):
        line.ask("places")


def test_another_version_in_the_cluster_is_refused(deputy: Deputy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(deputy._words, "facts", lambda: Facts("0.0.1", "n", 1, (2,)))
    ray = _Ray(deputy)
    with pytest.raises(ResourceError, match=r"the cluster has Esker 0\.0\.1"):
        DeputyLine(ray, "ray://there:1", SECURITY, None)
    assert ray.killed == 1


def test_a_session_that_is_closed_asks_nobody(line: DeputyLine, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = FarPages(line.ask, SECURITY)
    line.close()
    monkeypatch.setattr(line._ray, "get", None)
    with pytest.raises(SessionLostError, match="is closed"):
        pages.places()
    pages.remove("1")  # they are gone


def test_an_unknown_question_is_an_error_and_ends_nothing(line: DeputyLine) -> None:
    with pytest.raises(KeyError):
        line.ask("nothing")
    assert line.ask("places")
