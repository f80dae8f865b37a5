"""Event logs of a cluster's processes: bounded, begun with the ring, and no reason to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from esker.cluster.algebra import BitmapAlgebra
from esker.cluster.coordinator_server import EVENTS_FILE, CoordinatorServer
from esker.cluster.events import KeptLog, NodeEvents
from esker.cluster.messages import Copies, Outcome, Prepare, UnitCopy, UnitWrite, Welcome
from esker.cluster.node import Node
from esker.cluster.node_server import NodeServer
from esker.core.clock import SYSTEM_CLOCK
from esker.core.event_log import read_events
from esker.core.event_schema import faults_of
from esker.runtime.flight import Security, ServerAddress

HERE = ServerAddress("127.0.0.1:0")


def test_a_log_that_is_full_begins_anew_and_one_before_it_is_kept(tmp_path: Path) -> None:
    begun = []
    path = tmp_path / "coordinator.jsonl"
    log = KeptLog(path, limit_bytes=1000, begin=lambda: begun.append(log.emit("cluster_ring", replicas=2, members=[])))
    for number in range(100):
        log.emit("cluster_transaction", transaction=str(number), state="committed", nodes=[0, 1], key=["a"])
    log.close()
    log.emit("cluster_ring", replicas=2, members=[])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["coordinator-1.jsonl", "coordinator.jsonl"]
    before, now = read_events(tmp_path / "coordinator-1.jsonl"), read_events(path)
    assert [event["event"] for event in now[:2]] == [event["event"] for event in before[:2]]
    assert [now[0]["event"], now[1]["event"]] == ["log_opened", "cluster_ring"] and len(begun) > 5
    numbers = [int(event["transaction"]) for event in before + now if "transaction" in event]
    assert numbers == list(range(numbers[0], 100))
    assert max(one.stat().st_size for one in tmp_path.iterdir()) < 1200
    assert [fault for event in before + now for fault in faults_of(event)] == []


def test_a_log_that_cannot_be_written_is_said_once_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = KeptLog(tmp_path / "missing" / "node-1.jsonl")
    log.emit("cluster_ring", replicas=2, members=[])
    full = KeptLog(Path("/dev/full"))
    for _ in range(3):
        full.emit("cluster_ring", replicas=2, members=[])
    said = capsys.readouterr().err
    assert said.count("node-1.jsonl ends here") == said.count("/dev/full ends here") == 1


def test_a_coordinator_tells_of_nodes_that_join_and_leave_and_is_silent_when_told_to_be(tmp_path: Path) -> None:
    server = CoordinatorServer(tmp_path / "c", HERE, Security(), tick_seconds=0.05)
    silent = CoordinatorServer(tmp_path / "s", HERE, Security(), events=False)
    nodes = [
        NodeServer(tmp_path / f"{number}", HERE, server.address, Security(), number=number, tick_seconds=0.05)
        for number in range(3)
    ]
    path = tmp_path / "c" / EVENTS_FILE

    def members() -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for event in read_events(path):
            if event["event"] == "cluster_member":
                found.setdefault(event["node"], []).append(event["state"])
        return found

    def wait_until(wanted: dict[int, list[str]]) -> None:
        deadline = SYSTEM_CLOCK.seconds() + 120
        while members() != wanted:
            assert SYSTEM_CLOCK.seconds() < deadline, members()
            assert not any(one.wait(0) for one in nodes[:2])
            SYSTEM_CLOCK.sleep(0.05)

    try:
        wait_until({number: ["joining", "up"] for number in range(3)})
        nodes[2].stop()
        wait_until({0: ["joining", "up"], 1: ["joining", "up"], 2: ["joining", "up", "suspect", "down"]})
    finally:
        # The coordinator first, which would tell of the ends of the others.
        for one in (server, silent, *nodes):
            one.stop()
    events = read_events(path)
    assert [fault for event in events for fault in faults_of(event)] == []
    (down,) = [event for event in events if event.get("state") == "down"]
    assert (down["reason"], down["address"]) == ("its connection broke", None)
    rings = [event for event in events if event["event"] == "cluster_ring"]
    assert [one["epoch"] for one in rings] == sorted({one["epoch"] for one in rings})
    assert [(one["node"], one["state"]) for one in rings[-1]["members"]] == [(0, "up"), (1, "up"), (2, "down")]
    assert not (tmp_path / "s" / EVENTS_FILE).exists()


def test_a_node_tells_of_copies_with_their_bytes_and_of_what_it_is_in_doubt_of(tmp_path: Path) -> None:
    node = Node(7, 1, BitmapAlgebra())
    events = NodeEvents(tmp_path / "node-7.jsonl", node)
    events.address = "grpc://10.0.0.7:7071"
    events.state("joining")
    events.heard(-1, Welcome(1))
    events.heard(3, Copies((UnitCopy("a/0", 5, 0, ((1, 5, b"12345"), (2, 5, b"678"))),)))
    node.receive(-1, 1, Prepare(9, (3, 7), (UnitWrite("a/1", 0, 0, True, ((1, b"x"),)),)))
    for _ in range(20):
        node.tick()
        events.look()
    events.heard(-1, Outcome(8, True))
    events.heard(-1, Outcome(9, False))
    events.heard(-1, Outcome(9, False))
    events.close()
    said = read_events(tmp_path / "node-7.jsonl")[1:]
    assert [fault for event in said for fault in faults_of(event)] == []
    assert [(event["event"].partition("_")[2], event["state"]) for event in said] == [
        ("member", "joining"), ("member", "up"), ("reallocation", "done"), ("transaction", "in_doubt"),
        ("transaction", "aborted"),
    ]  # fmt: skip
    assert said[0]["address"] == "10.0.0.7:7071"
    assert (said[2]["source"], said[2]["units"], said[2]["bytes"]) == (3, 1, 8)
    assert (said[3]["transaction"], said[3]["nodes"], said[3]["key"]) == ("9", [3, 7], ["a/1"])
