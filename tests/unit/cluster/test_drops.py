"""An index that is dropped is gone everywhere at once, stays gone whoever comes back, and leaves its name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from esker.bitmap import Bitmap
from esker.cluster import Cluster, connect
from esker.cluster.coordinator_server import CoordinatorServer
from esker.cluster.node_server import NodeServer
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import InputError, PeerError, UnknownIndexError
from esker.runtime.flight import Security, ServerAddress

HERE = ServerAddress("127.0.0.1:0")
ROWS = 30_000
TABLE = pa.table({"age": [n * 7919 % 90 for n in range(ROWS)], "line": list(range(ROWS))})
OTHER = pa.table({"age": [5] * 1000, "line": list(range(1000))})


class Served:
    """A coordinator and three nodes in this process, on folders that stay when they are stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[int, NodeServer] = {}
        self.coordinator = self._coordinator(0)
        for number in range(3):
            self.start(number)

    @property
    def address(self) -> str:
        return self.coordinator.address

    def _coordinator(self, port: int) -> CoordinatorServer:
        return CoordinatorServer(self.folder / "c", ServerAddress(f"127.0.0.1:{port}"), Security())

    def restart_coordinator(self) -> None:
        self.coordinator.stop()
        self.coordinator = self._coordinator(self.coordinator.port)

    def start(self, number: int) -> None:
        self.nodes[number] = NodeServer(self.folder / str(number), HERE, self.address, Security(), number=number)

    def stop(self) -> None:
        for one in (*self.nodes.values(), self.coordinator):
            one.stop()

    def units(self, number: int, index: str) -> list[str]:
        """The units of an index that a node has, but for the one that says that it was dropped."""
        node = self.nodes[number]
        with node.host.lock:
            return [name for name in node.node.units if name.startswith(f"{index}/")]

    def bytes(self, number: int) -> int:
        """What a node's log and segments take."""
        files = [*(self.folder / str(number)).glob("*.log"), *(self.folder / str(number)).glob("*.seg")]
        return sum(path.stat().st_size for path in files)

    def wait(self, what: Callable[[], bool]) -> None:
        deadline = SYSTEM_CLOCK.seconds() + 60
        while not what():
            assert SYSTEM_CLOCK.seconds() < deadline
            SYSTEM_CLOCK.sleep(0.02)

    def wait_for(self, members: list[int]) -> None:
        def are_in() -> bool:
            status = self.coordinator.status()
            counted = [node["number"] for node in status["nodes"] if node["counted"]]
            return bool(list(status["members"]) == members == counted and not status["short"])

        self.wait(are_in)

    def wait_until_gone(self, index: str) -> None:
        self.wait(lambda: not any(self.units(number, index) for number in self.nodes))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    try:
        one.wait_for([0, 1, 2])
        yield one
    finally:
        one.stop()


def build(cluster: Cluster, table: pa.Table, placement: str) -> None:
    cluster.build(table, ["age"], index="people", placement=placement, block_rows=8192)


@pytest.mark.parametrize("placement", ["row_block", "dynamic", "vector"])
def test_a_dropped_index_is_gone_and_its_name_is_free(served: Served, placement: str) -> None:
    with connect(served.address) as cluster, connect(served.address) as other:
        cluster.build(OTHER, ["age"], index="kept")
        build(cluster, TABLE, placement)
        assert other.count("age < 90", index="people") == ROWS
        assert any(served.units(number, "people") for number in range(3))
        cluster.drop("people")
        for one in (cluster, other):
            with pytest.raises(UnknownIndexError, match="index 'people' of the cluster was dropped; there is: kept"):
                one.count("age < 90", index="people")
            with pytest.raises(UnknownIndexError, match="'people' of the cluster was dropped") as told:
                one.drop("people")
            assert told.value.dropped and told.value.index == "people"
        with pytest.raises(UnknownIndexError, match="the cluster has no index 'nobody'; there is: kept"):
            cluster.drop("nobody")
        assert [one["name"] for one in cluster.indexes()] == cluster.coordinator_status()["indexes"] == ["kept"]
        served.wait_until_gone("people")
        assert not cluster.status()["short"] and not cluster.status()["lost"]
        # What is built next under the name has nothing of it.
        build(cluster, OTHER, placement)
        assert [one.count("age < 90", index="people") for one in (cluster, other)] == [1000, 1000]
        assert other.query("age = 7", index="people").to_numpy().tolist() == []
        assert cluster.count("age = 5", index="kept") == 1000


def test_who_writes_to_a_dropped_index_is_told_and_writes_nothing(served: Served) -> None:
    one, two = Bitmap.from_positions([1, 5], 10), Bitmap.from_positions([2], 10)
    with connect(served.address) as cluster, connect(served.address) as other:
        cluster.put_many({1: one, 2: two}, index="numbers")
        assert other.count("R:[1,2]", index="numbers") == 3
        cluster.drop("numbers")
        with pytest.raises(UnknownIndexError, match="'numbers' of the cluster was dropped"):
            other.put(3, one, index="numbers")
        with pytest.raises(UnknownIndexError, match="'numbers' of the cluster was dropped"):
            other.delete([(1, 1)], index="numbers")
        # A put to an index that is not there makes it, as it always did; of the old one nothing is in it.
        cluster.put(2, two, index="numbers")
        assert [at.query("R:[1,3]", index="numbers").to_numpy().tolist() for at in (cluster, other)] == [[2], [2]]


def test_a_put_made_for_an_index_that_was_replaced_goes_to_the_new_one(served: Served) -> None:
    with connect(served.address) as cluster, connect(served.address) as other:
        cluster.put(1, Bitmap.from_positions([1, 5], 10), index="numbers")
        other.put(2, Bitmap.from_positions([2], 10), index="numbers")
        cluster.create("numbers", 10)
        other.put(3, Bitmap.from_positions([7], 10), index="numbers")
        assert cluster.query("R:[1,3]", index="numbers").to_numpy().tolist() == [7]
        cluster.create("numbers", 20)
        with pytest.raises(InputError, match="vector 3 has 10 rows; those of numbers 20"):
            other.put(3, Bitmap.from_positions([7], 10), index="numbers")


@pytest.mark.parametrize("restarted", [False, True])
def test_a_node_that_was_away_brings_nothing_back(served: Served, restarted: bool) -> None:
    with connect(served.address) as cluster:
        build(cluster, TABLE, "dynamic")
        served.nodes[1].stop()
        away = served.nodes.pop(1)
        assert away.node.units
        served.wait_for([0, 2])
        cluster.drop("people")
        served.wait_until_gone("people")
        if restarted:
            served.restart_coordinator()
        build(cluster, OTHER, "dynamic")
        served.start(1)
        served.wait_for([0, 1, 2])
        prefix = cluster.layout("people").prefix
        served.wait(lambda: all(name.startswith(f"{prefix}/") for name in served.units(1, "people")))
        assert cluster.count("age < 90", index="people") == 1000
        cluster.drop("people")
        served.wait_until_gone("people")


def test_what_was_dropped_leaves_the_disks(served: Served) -> None:
    rows = pa.table({"age": [1] * 20_000, "text": [f"{n * 2654435761 % 2**32:032b}" for n in range(20_000)]})
    with connect(served.address) as cluster:
        cluster.build(rows, ["age"], index="people", block_rows=4096)
        before = [served.bytes(number) for number in range(3)]
        assert sum(before) > 200_000
        cluster.drop("people")
        served.wait(lambda: all(served.bytes(number) < 20_000 for number in range(3)))


def test_an_index_that_is_built_anew_leaves_nothing_of_the_one_before(served: Served) -> None:
    with connect(served.address) as cluster:
        for placement in ("row_block", "dynamic", "vector", "row_block"):
            build(cluster, TABLE, placement)
        prefix = cluster.layout("people").prefix

        def names() -> set[str]:
            return {name for number in range(3) for name in served.units(number, "people")}

        served.wait(lambda: all(name.startswith(f"{prefix}/") for name in names()))
        assert cluster.status()["units"] == len(names()) + 1


def test_whoever_asks_while_an_index_is_dropped_and_built_gets_one_of_them_or_is_told(served: Served) -> None:
    wrong: list[object] = []
    answers = {ROWS: 0, 1000: 0}
    done = threading.Event()

    def ask() -> None:
        with connect(served.address) as mine:
            while not done.is_set():
                try:
                    answers[mine.count("age < 90", index="people")] += 1
                except UnknownIndexError as error:
                    if "'people' of the cluster was dropped" not in str(error):
                        wrong.append(error)
                except PeerError as error:
                    if "built again and again" not in str(error):
                        wrong.append(error)
                except KeyError as error:
                    wrong.append(error)

    with connect(served.address) as cluster:
        build(cluster, TABLE, "dynamic")
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for table in (OTHER, TABLE, OTHER):
                cluster.drop("people")
                build(cluster, table, "dynamic")
        finally:
            done.set()
            for thread in threads:
                thread.join()
    assert wrong == []
    assert sum(answers.values()) > 0
