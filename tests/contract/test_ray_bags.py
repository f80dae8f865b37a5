"""Wide steps of Bags on Ray nodes that share no folder: what lies at another node comes over Arrow Flight."""

from __future__ import annotations

import operator
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import esker
from esker.engine.ray_session import RaySession

pytestmark = pytest.mark.slow

ROWS = 20_000


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RaySession]:
    """Two nodes on this machine, a CPU each; each has a spill folder of its own."""
    from ray.cluster_utils import Cluster

    before = os.environ.get("ESKER_SPILL_FOLDER")
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    # What a node starts inherits its environment.
    os.environ["ESKER_SPILL_FOLDER"] = str(folders[0])
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    os.environ["ESKER_SPILL_FOLDER"] = str(folders[1])
    found.add_node(num_cpus=1)
    # The script's own is a third.
    os.environ["ESKER_SPILL_FOLDER"] = str(tmp_path_factory.mktemp("script"))
    os.environ["RAY_ADDRESS"] = found.address
    try:
        with esker.connect("ray") as opened:
            assert isinstance(opened, RaySession)
            places = {Path(place.folder).parent for place in opened.pages().places().nodes.values()}
            assert places == set(folders)
            yield opened
    finally:
        del os.environ["RAY_ADDRESS"]
        os.environ.pop("ESKER_SPILL_FOLDER")
        if before is not None:
            os.environ["ESKER_SPILL_FOLDER"] = before
        found.shutdown()


def _numbers() -> esker.Bag[int]:
    return esker.range(ROWS, partitions=6)


SCRIPTS: dict[str, Callable[[], Any]] = {
    "reduce_by_key": lambda: _numbers().map(lambda n: (n % 97, n)).reduce_by_key(operator.add).collect(),
    "group_by_key": lambda: _numbers().map(lambda n: (n % 97, n)).group_by_key(5).map_values(list).collect(),
    "group_by_key, spilled": lambda: (
        _numbers()
        .map(lambda n: (n % 7, str(n) * 200))
        .with_options(memory="16MiB")
        .group_by_key(3)
        .map_values(len)
        .collect()
    ),
    "sort_by": lambda: _numbers().sort_by(lambda n: (n * 7919) % 20_011).collect(),
    "join": lambda: (
        _numbers().map(lambda n: (n % 500, n)).join(esker.range(300, partitions=2).map(lambda n: (n, str(n)))).collect()
    ),
    "distinct": lambda: _numbers().map(lambda n: n % 31).distinct(5).collect(),
    "repartition": lambda: _numbers().repartition(7).glom().collect(),
    "cartesian": lambda: esker.range(90, partitions=3).cartesian(esker.range(50, partitions=2)).collect(),
    "cartesian of two": lambda: esker.range(90, partitions=1).cartesian(esker.range(50, partitions=1)).collect(),
    "two steps": lambda: (
        _numbers()
        .map(lambda n: (n % 97, 1))
        .reduce_by_key(operator.add)
        .map(lambda pair: (pair[1], pair[0]))
        .group_by_key(4)
        .map_values(sorted)
        .collect()
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_wide_steps_give_what_they_give_on_one_machine(name: str, session: RaySession) -> None:
    found = SCRIPTS[name]()
    session.runtime = "inline"
    try:
        expected = SCRIPTS[name]()
    finally:
        session.runtime = "ray"
    assert found == expected


def test_a_broadcast_is_copied_once_to_each_other_machine_and_goes_when_it_is_released(session: RaySession) -> None:
    table = np.arange(300_000, dtype=np.int64)
    squares = esker.broadcast({"table": table * table})

    def squared(n: int) -> tuple[int, str]:
        import ray

        time.sleep(0.02)
        return int(squares.value["table"][n]), str(ray.get_runtime_context().get_node_id())

    found = esker.range(60, partitions=12).map(squared).collect()
    assert [square for square, _ in found] == [n * n for n in range(60)]
    nodes = session.pages().places().nodes
    assert {node for _, node in found} == set(nodes)
    copies = [name for place in nodes.values() for name in _left_in(Path(place.folder)) if name.endswith("-copy")]
    assert len(copies) == 1  # the script is at the machine of the other node
    squares.release()
    until = time.monotonic() + 20
    while any(_left_in(Path(place.folder)) for place in nodes.values()):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_a_run_left_at_the_nodes_goes_with_it(session: RaySession) -> None:
    assert SCRIPTS["two steps"]()
    folders = [Path(place.folder) for place in session.pages().places().nodes.values()]
    until = time.monotonic() + 20
    while any(map(_left_in, folders)) and time.monotonic() < until:
        time.sleep(0.05)
    assert [_left_in(folder) for folder in folders] == [[], []]


def _left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != "lock"]


def test_files_that_went_with_a_nodes_actor_are_made_again(session: RaySession, tmp_path: Path) -> None:
    import ray

    actor = next(iter(session.pages().actors().values()))
    pid = ray.get(actor.process.remote())
    killed = threading.Event()
    log = tmp_path / "log.jsonl"

    class Watch:
        def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
            if "group_by_key" not in operator and not killed.is_set():
                killed.set()
                os.kill(pid, signal.SIGKILL)

        def close(self) -> None: ...

    def slow(pair: tuple[int, Any]) -> tuple[int, int]:
        time.sleep(0.01)
        return pair[0], sum(pair[1])

    groups = _numbers().map(lambda n: (n % 97, n)).group_by_key(12)
    found = groups.map(slow).with_options(progress=Watch(), log=log).collect()
    assert killed.is_set()
    assert sorted(found) == [(key, sum(range(key, ROWS, 97))) for key in range(97)]
    assert '"pages_lost"' in log.read_text()
