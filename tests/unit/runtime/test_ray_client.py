from __future__ import annotations

import socket
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import esker
from esker.errors import MissingExtraError, ResourceError
from esker.runtime.executors.ray import RayExecutor


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'esker\[ray\]'"):
        esker.connect("ray")


@pytest.mark.parametrize("version", ["2.9.3", "2.59.1", "3.0.0"])
def test_a_version_that_was_not_tried_is_refused_by_its_number(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__=version))
    with pytest.raises(MissingExtraError, match=rf"ray {version} is installed.*2\.60.*esker\[ray\]"):
        esker.connect("ray://127.0.0.1:10001")


def test_an_executor_without_a_cluster_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__="2.60.0", is_initialized=lambda: False))
    with pytest.raises(ResourceError, match=r"esker\.connect\('ray'\)"):
        RayExecutor(2)


def test_a_client_server_that_is_not_there_is_an_error_that_says_how_to_have_one() -> None:
    with socket.socket() as taken, pytest.raises(ResourceError, match=r"ray://127.*--ray-client-server-port"):
        taken.bind(("127.0.0.1", 0))  # and does not listen
        esker.connect(f"ray://127.0.0.1:{taken.getsockname()[1]}")


def test_without_grpc_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtraError, match=r"grpcio.*pip install 'esker\[ray\]'"):
        esker.connect("ray://127.0.0.1:10001")


class RayOfOneNode(SimpleNamespace):
    """As much of Ray as ends tasks: one that was cancelled ends when Ray looks, which it does once a second."""

    def __init__(self, looks_after: float, *, obeys: bool = True) -> None:
        node = {"NodeID": "here", "Alive": True, "Resources": {"CPU": 4.0}}
        anywhere = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
        super().__init__(
            __version__="2.60.0", is_initialized=lambda: True, nodes=lambda: [node],
            util=SimpleNamespace(scheduling_strategies=anywhere),
            put=lambda value: SimpleNamespace(_on_completed=lambda act: act(value)),
        )  # fmt: skip
        self.looks_after = looks_after
        self.obeys = obeys
        self.cancelled: list[tuple[Any, bool]] = []
        self.ended: set[Any] = set()

    def remote(self, function: Any) -> Any:
        def run(*_: Any) -> Any:
            return SimpleNamespace(completed=lambda: "a stream") if function.__name__ == "_make" else "a task"

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=run))

    def cancel(self, reference: Any, force: bool) -> None:
        self.cancelled.append((reference if isinstance(reference, str) else reference.completed(), force))

    def wait(
        self, tasks: list[Any], num_returns: int, timeout: float, fetch_local: bool
    ) -> tuple[list[Any], list[Any]]:
        for task, force in self.cancelled:
            if force or (self.obeys and timeout >= self.looks_after):
                self.ended.add(task)
        return [task for task in tasks if task in self.ended], [task for task in tasks if task not in self.ended]


def _ray(monkeypatch: pytest.MonkeyPatch, ray: RayOfOneNode) -> RayOfOneNode:
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def test_a_stream_that_ends_when_ray_looks_is_not_cancelled_once_more_at_that_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The second in which Ray looks, and as much again as a busy machine may take.
    ray = _ray(monkeypatch, RayOfOneNode(looks_after=5.0))
    with RayExecutor(2) as executor:
        stream = executor.stream(lambda: iter([1]), 1)
        del stream
    assert ray.cancelled == [("a stream", False)]


def test_what_does_not_stop_is_ended_and_what_has_ended_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = _ray(monkeypatch, RayOfOneNode(looks_after=1.0, obeys=False))
    with RayExecutor(2) as executor:
        executor.stream(lambda: iter([1]), 1)
    assert ray.cancelled == [("a stream", False), ("a stream", True)]
    ray = _ray(monkeypatch, RayOfOneNode(looks_after=1.0))
    with RayExecutor(2) as executor:
        executor.submit(int)
        ray.ended.add("a task")
    assert ray.cancelled == []
