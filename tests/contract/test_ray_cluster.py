"""The replicated index as actors of a real Ray cluster of three machines: what dies comes back on its folder."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import esker.cluster
from esker.bitmap import Bitmap, count_ranges
from esker.cluster.client import Cluster
from esker.cluster.ray_cluster import PATHS, RayCluster
from esker.core.seeded import generator
from esker.errors import InputFileError, OptionError, ResourceError, UnitsLostError

pytestmark = pytest.mark.slow

ROWS = 30_000
MACHINES = ["disk_a", "disk_b", "disk_c"]


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """Three Ray nodes on this machine, each with a resource of its own."""
    import ray
    from ray.cluster_utils import Cluster as Machines

    head = {"num_cpus": 1, "include_dashboard": False, "resources": {MACHINES[0]: 1}}
    found = Machines(initialize_head=True, head_node_args=head)
    for machine in MACHINES[1:]:
        found.add_node(num_cpus=1, resources={machine: 1})
    ray.init(address=found.address, logging_level="ERROR")
    try:
        yield found
    finally:
        ray.shutdown()
        found.shutdown()


def _vectors(count: int, seed: int = 1) -> list[Bitmap]:
    dice = generator(seed)
    return [Bitmap.from_positions(dice.integers(0, ROWS, 700), ROWS, "auto") for _ in range(count)]


def _text(ranges: list[tuple[int, int]]) -> str:
    return "R:" + "&".join(f"[{first},{last}]" for first, last in ranges)


def _check(cluster: Cluster, vectors: list[Bitmap]) -> None:
    asked = [[(0, 3), (2, 7)], [(1, 1)], [(0, 8), (4, 5), (3, 9)]]
    assert cluster.count_many([_text(one) for one in asked]) == [count_ranges(vectors, one) for one in asked]
    assert cluster.query(_text(asked[1])) == vectors[1].rows()


@pytest.mark.parametrize("path", PATHS)
def test_a_cluster_of_actors_answers_as_one_process_does(machines: Any, tmp_path: Path, path: str) -> None:
    vectors = _vectors(10)
    people = pa.table({"age": [n % 90 for n in range(ROWS)], "name": [f"name {n % 7}" for n in range(ROWS)]})
    with (
        esker.cluster.start(tmp_path, 3, on="ray", machines=MACHINES, path=path) as hosts,
        hosts.connect() as cluster,
    ):
        cluster.put_many(dict(enumerate(vectors)))
        _check(cluster, vectors)
        for planner in ("random_replica", "one_call_per_node"):
            assert cluster.count("R:[0,3]&[2,7]", planner=planner) == count_ranges(vectors, [(0, 3), (2, 7)])
        cluster.build(people, by=["age"], index="people")
        assert cluster.find("age < 3", ["name"], index="people").num_rows == sum(n % 90 < 3 for n in range(ROWS))
        assert cluster.status()["ready"]


@pytest.mark.parametrize("path", PATHS)
def test_actors_that_are_killed_come_back_with_what_was_put(machines: Any, tmp_path: Path, path: str) -> None:
    vectors = _vectors(10)
    with (
        esker.cluster.start(tmp_path, 2, on="ray", machines=MACHINES, path=path) as hosts,
        hosts.connect(deadline=60) as cluster,
    ):
        assert isinstance(hosts, RayCluster)
        cluster.put_many(dict(enumerate(vectors)))
        address = hosts.address
        before = {name: hosts.standing(name).pid for name in hosts.actors()}
        # All at once, and both copies of everything: what comes back is from their folders.
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        _until_answered(cluster, vectors)
        after = {name: hosts.standing(name).pid for name in hosts.actors()}
        assert after.keys() == before.keys()
        assert not set(after.values()) & set(before.values())
        assert hosts.address == address


def _until_answered(cluster: Cluster, vectors: list[Bitmap]) -> None:
    """While both nodes are away the coordinator may say that what they have is lost."""
    until = time.monotonic() + 60
    while True:
        try:
            _check(cluster, vectors)
            return
        except UnitsLostError:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_a_machine_that_comes_back_has_its_node_on_its_folder(machines: Any, tmp_path: Path) -> None:
    vectors = _vectors(10)
    machine = machines.add_node(num_cpus=1, resources={"disk_d": 1})
    with (
        esker.cluster.start(tmp_path, 2, on="ray", machines=["disk_a", "disk_d"]) as hosts,
        hosts.connect(deadline=60) as cluster,
    ):
        assert isinstance(hosts, RayCluster)
        cluster.put_many(dict(enumerate(vectors)))
        before = hosts.standing("node-1")
        identity = (tmp_path / "node-1" / "node.json").read_bytes()
        machines.remove_node(machine, allow_graceful=False)
        _until(lambda: not _is_counted(cluster, 1))
        _check(cluster, vectors)
        machines.add_node(num_cpus=1, resources={"disk_d": 1})
        _until(lambda: _is_counted(cluster, 1))
        assert hosts.standing("node-1").pid != before.pid
        assert (tmp_path / "node-1" / "node.json").read_bytes() == identity
        # The other one goes: what is answered now lies on the machine that came back.
        os.kill(hosts.standing("node-0").pid, signal.SIGKILL)
        _check(cluster, vectors)


def _is_counted(cluster: Cluster, number: int) -> bool:
    status = cluster.coordinator_status()
    whole = not status["short"] and number not in status["greeting"]
    return whole and any(node["number"] == number and node["counted"] for node in status["nodes"])


def _until(claim: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_what_was_ended_leaves_no_actor_and_starts_again_where_it_was(machines: Any, tmp_path: Path) -> None:
    vectors = _vectors(10)
    hosts = RayCluster(tmp_path, machines=MACHINES)
    hosts.up(3)
    with hosts.connect() as cluster:
        cluster.put_many(dict(enumerate(vectors)))
    pids = [hosts.standing(name).pid for name in hosts.actors()]
    assert len(pids) == 4
    assert hosts.down() == ["coordinator", "node-0", "node-1", "node-2"]
    assert hosts.actors() == {}
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)
    with pytest.raises(InputFileError, match=r"up\(\)"):
        hosts.connect()
    # In another order: folders stay on the machines that they were on.
    with RayCluster(tmp_path, machines=[MACHINES[0], *reversed(MACHINES[1:])]) as again:
        again.up(3)
        with again.connect() as cluster:
            _check(cluster, vectors)


def test_a_machine_or_path_that_is_not_there_is_refused(machines: Any, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="disk_x"):
        esker.cluster.start(tmp_path, 2, on="ray", machines=["disk_x"])
    with pytest.raises(OptionError, match="flight, calls"):
        esker.cluster.start(tmp_path, 2, on="ray", path="pigeons")
    with pytest.raises(OptionError, match="color"):
        esker.cluster.start(tmp_path, 2, on="ray", color="red")


def test_without_a_ray_cluster_there_is_a_word_about_it(tmp_path: Path) -> None:
    import ray

    if ray.is_initialized():
        ray.shutdown()
    with pytest.raises(ResourceError, match=r"esker\.connect"):
        esker.cluster.start(tmp_path, 2, on="ray")
