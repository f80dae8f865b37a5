"""What a page shows of a log: the figures of its events, within bounds, whatever stands in it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ui.live.every_event import EVIL, EXTENTS, MEBIBYTE, every_event, ring, write_log

import esker
from esker.cluster.local import LocalCluster
from esker.cluster.ring import Ring
from esker.core.event_log import read_events
from esker.core.event_schema import EVENTS, faults_of
from esker.errors import InputFileError
from esker.plan.findings import findings
from esker.ui.live import device_part, series_part
from esker.ui.live.cluster_part import members_of, ring_json
from esker.ui.live.cluster_source import ClusterSource, cluster_source
from esker.ui.live.logs import Logs
from esker.ui.live.run import PARTS, Run


def shown(events: list[dict[str, Any]]) -> dict[str, Any]:
    run = Run()
    for event in events:
        run.take(event)
    return {name: json.loads(run.part(name)) for name in PARTS}


def test_every_part_shows_something_of_a_log_that_has_everything() -> None:
    parts = shown(every_event())
    assert {name for name, part in parts.items() if part is None} == set()
    assert parts["summary"]["state"] == "done"
    assert parts["summary"]["rows"] == 1_204_113
    assert parts["summary"]["peak"] == 508 * MEBIBYTE
    assert parts["summary"]["read"] == sum(event["bytes"] for event in every_event() if event["event"] == "extent_read")


def test_the_log_that_tests_look_at_is_as_documented() -> None:
    faults = [fault for event in every_event() for fault in faults_of(event)]
    assert faults == ["'an_event_of_a_later_version' is not documented"]


def test_the_plan_is_a_tree_with_what_its_steps_counted() -> None:
    steps = shown(every_event(done=False))["plan"]["steps"]
    assert [(step["operator"], step["parent"]) for step in steps] == [
        ("write parquet", None), ("map_groups", 0), ("join", 1), ("scan frozen", 2), ("filter", 2), ("scan parquet", 4),
    ]  # fmt: skip
    assert [step["state"] for step in steps] == ["waiting", "waiting", "running", "waiting", "done", "done"]
    assert steps[4]["rows_in"] == 3_000_000
    assert steps[4]["rows"] == 184_002
    assert steps[2]["alternatives"][0][0] == "hash"
    assert {step["state"] for step in shown(every_event())["plan"]["steps"]} == {"done"}


def test_findings_are_those_of_the_engine_and_name_their_step() -> None:
    found = shown(every_event())["findings"]
    assert [one["text"] for one in found] == [str(one) for one in findings(every_event())]
    assert "41 %" in found[0]["text"]
    assert {one["step"] for one in found} <= {0, 1, 2, 3, 4, 5, None}


def test_a_name_that_is_html_stays_the_text_that_it_is() -> None:
    facts = dict(shown(every_event())["plan"]["steps"][3]["facts"])
    assert EVIL in facts["columns"]


def test_lines_over_time_follow_the_memory_events() -> None:
    series = shown(every_event())["series"]
    held = [event["held_bytes"] for event in every_event() if event["event"] == "memory"]
    assert max(value for value in series["lines"]["held"] if value is not None) == max(held)
    assert set(series["lines"]) == {"held", "process", "budget", "spill", "spilled", "read"}
    assert all(len(line) == len(series["seconds"]) for line in series["lines"].values())
    assert series["seconds"] == sorted(series["seconds"])


def test_a_long_run_is_drawn_with_few_points_that_keep_its_peak() -> None:
    events = [
        {
            "v": 1,
            "seconds": n / 4,
            "event": "memory",
            "held_bytes": 900 if n == 31_337 else n % 100,
            "budget_bytes": 1000,
        }
        for n in range(50_000)
    ]
    series = shown(events)["series"]
    assert len(series["seconds"]) <= series_part.POINTS_MAX
    assert max(series["lines"]["held"]) == 900
    assert series["seconds"][-1] > 0.95 * 50_000 / 4


def test_devices_stand_in_lines_by_tier_with_the_time_that_each_was_busy() -> None:
    events = [event for event in every_event() if event["event"] == "device_event"]
    tier = shown(every_event())["devices"]["tiers"][0]
    assert tier["tier"] == "tape:/archive/library?device=lto9-hh"
    assert [device["device"] for device in tier["devices"]] == ["arm", "drive 0", "drive 1"]
    for device in tier["devices"]:
        mine = [event for event in events if event["device"] == device["device"]]
        assert sum(device["busy"].values()) == pytest.approx(sum(event["stop"] - event["start"] for event in mine))
        assert [bar[:3] for bar in device["bars"]] == [[event["start"], event["stop"], event["kind"]] for event in mine]


def test_more_bars_than_are_drawn_become_fewer_and_lose_no_busy_time() -> None:
    count = 3 * device_part.BARS_MAX
    events = [
        {
            "v": 1,
            "event": "device_event",
            "device": "drive 0",
            "kind": ("locate", "transfer")[n % 2],
            "start": n,
            "stop": n + 0.5,
        }
        for n in range(count)
    ]
    devices = shown(events)["devices"]
    drive = devices["tiers"][0]["devices"][0]
    assert len(drive["bars"]) <= device_part.BARS_MAX
    assert sum(drive["busy"].values()) == pytest.approx(count * 0.5)
    assert sum(bar[4] for bar in drive["bars"]) == count
    assert devices["merged_seconds"] > 0


def test_the_restore_queue_tells_which_extents_are_cold_readable_and_read() -> None:
    extents = shown(every_event()[:40])["extents"]
    assert extents["counts"]["asked"] + extents["counts"]["readable"] + extents["counts"]["read"] == 72
    whole = shown(every_event())["extents"]
    assert whole["counts"] == {"planned": 24, "asked": 0, "readable": 10, "read": 62}
    assert [extent["key"] for extent in whole["extents"]] == EXTENTS


def test_a_skewed_partition_is_told_with_its_share() -> None:
    shuffle = shown(every_event())["partitions"]["shuffles"][0]
    assert (shuffle["largest"], shuffle["largest_rows"], shuffle["partitions"]) == (31, 96_400, 48)
    assert shuffle["by"] == "user"


@pytest.mark.parametrize(("nodes", "virtual_nodes", "copies"), [(1, 1, 3), (6, 1, 3), (7, 8, 2), (20, 4, 5)])
def test_arcs_have_the_holders_that_the_clusters_own_ring_gives(nodes: int, virtual_nodes: int, copies: int) -> None:
    from esker.cluster.ring import POINTS, node_points

    members = [
        {"node": node, "points": [p / POINTS for p in node_points(node, virtual_nodes)]} for node in range(nodes)
    ]
    fields = {"replicas": copies, "members": members}
    status = ring_json(fields, members_of(fields))
    assert status is not None
    expected = Ring(range(nodes), virtual_nodes)
    assert sum(arc["share"] for arc in status["arcs"]) == pytest.approx(1.0)
    for arc in status["arcs"]:
        middle = int(((arc["start"] + arc["share"] / 2) % 1.0) * POINTS)
        assert tuple(map(int, arc["holders"])) == expected.holders(middle, copies)


def test_a_node_that_is_down_holds_nothing_and_what_happened_is_listed() -> None:
    cluster = shown(every_event())["cluster"]
    states = {node["node"]: node["state"] for node in cluster["status"]["nodes"]}
    assert (states["4"], states["5"]) == ("down", "recovering")
    assert all("4" not in arc["holders"] for arc in cluster["status"]["arcs"])
    assert [(event["kind"], event["node"]) for event in cluster["events"]] == [
        ("suspect", "4"), ("down", "4"), ("gets copies", "5"), ("has copies", "5"), ("put aborted", None),
        ("recovering", "5"),
    ]  # fmt: skip
    assert cluster["events"][3]["detail"] == "12 units from node 1, 3.0 MiB"
    assert cluster["transactions"] == {"aborted": 1, "committed": 40}


def test_the_status_of_a_cluster_is_read_again_and_what_changed_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text(json.dumps({"replicas": 3, "members": ring({})}))
    source = cluster_source(str(path))
    assert {node["state"] for node in json.loads(source.shown)["status"]["nodes"]} == {"up"}
    path.write_text(json.dumps({"replicas": 3, "members": ring({2: "suspect"})}))
    assert source.look() is None
    shown = json.loads(source.shown)
    assert shown["status"]["nodes"][2]["state"] == "suspect"
    assert [(one["kind"], one["node"]) for one in shown["events"]] == [("suspect", "2")]
    path.write_text("[")
    assert source.look() is not None
    shown = json.loads(source.shown)
    assert "is no JSON" in shown["problem"]
    assert len(shown["status"]["nodes"]) == 6


@pytest.mark.parametrize("content", ["[]", "{}", '{"members": 3}', "[" * 100_000, None])
def test_a_file_that_is_no_status_is_refused_at_once(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "status.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputFileError, match="cannot show the cluster of"):
        cluster_source(str(path))


def said(members: list[int], *nodes: dict[str, Any]) -> dict[str, Any]:
    """What a coordinator answers."""
    shown = [{"connected": True, "counted": True, **node} for node in nodes]
    found = {
        "copies": 2,
        "virtual_nodes": 2,
        "members": members,
        "greeting": [3],
        "epoch": 4,
        "units": 9,
        "nodes": shown,
    }
    return {**found, "short": [], "lost": ["a"]}


def test_what_a_coordinator_says_is_drawn_and_a_node_that_it_drops_is_down() -> None:
    answers = [
        said([0, 1, 2, 3], *({"number": n, "address": f"grpc://h:{n}", "units": 5, "in_doubt": [n]} for n in range(4))),
        said([0, 1, 3], {"number": 0}, {"number": 1, "error": "no answer"}, {"number": 3}, {"number": 4}),
    ]
    source = ClusterSource(lambda: answers.pop(0))
    states = []
    for _ in range(2):
        assert source.look() is None
        status = json.loads(source.shown)["status"]
        states.append({int(node["node"]): node["state"] for node in status["nodes"]})
    assert states == [
        {0: "up", 1: "up", 2: "up", 3: "recovering"},
        {0: "up", 1: "suspect", 2: "down", 3: "recovering", 4: "joining"},
    ]
    assert (status["lost"], status["in_doubt"], status["replicas"]) == (1, 0, 2)
    assert [len(node["points"]) for node in status["nodes"]] == [2] * 5


def wait_for(source: ClusterSource, states: list[str]) -> None:
    until = time.monotonic() + 120
    while [
        node["state"] for node in ((json.loads(source.shown) or {}).get("status") or {"nodes": []})["nodes"]
    ] != states:
        assert time.monotonic() < until, source.shown
        time.sleep(0.1)


def test_a_cluster_that_runs_is_shown_and_a_node_that_is_killed_is_seen_to_be_down(tmp_path: Path) -> None:
    with LocalCluster(tmp_path / "c") as local:
        local.up(nodes=3)
        with local.connect() as cluster:
            cluster.build({"age": [20, 76, 42] * 1000}, ["age"], index="people", block_rows=64)
        with cluster_source(str(local.folder)) as source:
            wait_for(source, ["up", "up", "up"])
            local.signal("node-1", signal.SIGKILL)
            wait_for(source, ["up", "down", "up"])
            shown = json.loads(source.shown)
            told = wait_for_log(Logs(local.folder))
    assert shown["events"][-1]["node"] == "1"
    assert all("1" not in arc["holders"] for arc in shown["status"]["arcs"])
    # What the coordinator wrote of it says the same, and more.
    assert {node["node"]: node["state"] for node in told["status"]["nodes"]} == {"0": "up", "1": "down", "2": "up"}
    assert told["status"]["short"] == told["status"]["lost"] == 0 and told["status"]["epoch"] >= 4
    assert told["status"]["arcs"] == shown["status"]["arcs"]
    happened = [(event["kind"], event["node"]) for event in told["events"]]
    assert [(kind, node) for kind, node in happened if node == "1" and "cop" not in kind] == [
        ("joining", "1"),
        ("up", "1"),
        ("suspect", "1"),
        ("down", "1"),
    ]
    copied = [event for event in told["events"] if event["kind"] == "has copies"]
    assert copied and all("units from node" in event["detail"] and "B" in event["detail"] for event in copied)
    assert happened.count(("gets copies", "0")) + happened.count(("gets copies", "2")) == len(copied)
    assert told["transactions"]["committed"] >= 47
    logs = sorted((tmp_path / "c").glob("*/*.jsonl"))
    assert [log.name for log in logs] == ["coordinator.jsonl", "node-0.jsonl", "node-1.jsonl", "node-2.jsonl"]
    events = [event for log in logs for event in read_events(log)]
    assert [fault for event in events for fault in faults_of(event)] == []
    # The nodes that got them counted the bytes.
    assert any(event["event"] == "cluster_reallocation" and event["bytes"] for event in read_events(logs[1]))


def wait_for_log(logs: Logs) -> dict[str, Any]:
    """The cluster as the log of its coordinator tells, when all copies are there again after a failure."""
    until = time.monotonic() + 120
    name = logs.newest()
    assert name == "coordinator.jsonl"
    log = logs.find(name)
    assert log is not None
    while True:
        log.follow()
        told: dict[str, Any] = json.loads(log.runs[-1].part("cluster")) if log.runs else {}
        if told and any(event["kind"] == "down" for event in told["events"]) and told["status"]["short"] == 0:
            return told
        assert time.monotonic() < until, told
        time.sleep(0.1)


def test_a_query_that_failed_says_why_and_its_steps_stand_still() -> None:
    events = [
        *every_event(done=False),
        {"v": 1, "seconds": 50, "event": "query_failed", "error": "SpillError", "message": "disk full"},
    ]
    parts = shown(events)
    assert (parts["summary"]["state"], parts["summary"]["reason"]) == ("failed", "SpillError: disk full")
    assert "running" not in {step["state"] for step in parts["plan"]["steps"]}


def test_queries_of_one_log_are_told_apart_and_one_without_an_end_was_killed(tmp_path: Path) -> None:
    path = write_log(tmp_path / "q.jsonl", [*every_event(done=False), *every_event()])
    logs = Logs(path)
    log = logs.find("q.jsonl")
    assert log is not None
    while log.follow():
        pass
    assert [json.loads(run.part("summary"))["state"] for run in log.runs] == ["stopped", "done"]
    assert json.loads(log.about())["runs"] == 2


def test_a_folder_lists_its_logs_the_youngest_first_and_opens_no_other_file(tmp_path: Path) -> None:
    import os

    for age, name in enumerate(["new.jsonl", "old.jsonl"]):
        os.utime(write_log(tmp_path / name, every_event(done=age == 0)), (1000 - age, 1000 - age))
    (tmp_path / "secret.txt").write_text("secret")
    logs = Logs(tmp_path)
    assert [(row["name"], row["state"]) for row in json.loads(logs.listing)] == [
        ("new.jsonl", "done"),
        ("old.jsonl", "running"),
    ]
    assert logs.newest() == "new.jsonl"
    assert [logs.find(name) for name in ("secret.txt", "../new.jsonl", str(tmp_path / "new.jsonl"), "")] == [None] * 4


def test_a_log_of_the_engine_is_shown_with_the_figures_of_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    rows = esker.from_arrow(pa.table({"k": [1, 2, 3, 4] * 500, "v": list(range(2000))}))
    assert rows.with_options(log=path).filter("k <= 3").count() == 1500
    events = read_events(path)
    parts = shown(events)
    assert parts["summary"]["state"] == "done"
    assert parts["summary"]["rows"] == events[-1]["rows"]
    assert parts["plan"]["steps"][0]["operator"] == events[-1]["plan"]["operator"]
    assert sum(number for _, number in parts["events"]["counts"]) == len(events)


# What may stand in a field: numbers of every kind, texts, nested things.
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KINDS = sorted({event["event"] for event in every_event()} | EVENTS.keys())
NAMES = sorted({name for event in every_event() for name in event} | {"total", "inputs", "message", "reason"})


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(NAMES), anything, max_size=6)), max_size=12
    )
)
def test_nothing_in_a_log_makes_the_page_fail(events: list[tuple[str, dict[str, Any]]]) -> None:
    parts = shown([{**fields, "event": kind} for kind, fields in events])
    json.dumps(parts, allow_nan=False).encode()


def test_a_part_of_a_large_log_stays_small_enough_to_be_sent_again_and_again() -> None:
    touched = {f"part-{n:07}.parquet": [0] for n in range(60_000)}
    events: list[dict[str, Any]] = [{"v": 1, "event": "thaw_planned", "touched": touched, "tier": "x" * 10_000}]
    events += [{"v": 1, "event": "cluster_member", "node": n, "state": "up", "points": [0.5]} for n in range(5000)]
    events += [{"v": 1, "event": f"kind {n}"} for n in range(5000)]
    events += [{"v": 1, "event": "work", "operator": f"o{n}", "done": 1} for n in range(5000)]
    assert max(len(json.dumps(part)) for part in shown(events).values()) < 1 << 20
