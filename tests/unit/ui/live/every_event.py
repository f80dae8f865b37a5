"""A log with something for every part of the page, as docs/formats/event-log.md has it; seeded, always the same."""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random
from typing import Any

from esker.cluster.ring import POINTS, node_points

MEBIBYTE = 1 << 20
TIER = "tape:/archive/library?device=lto9-hh"
EXTENTS = [f"events/part-{number:05}.parquet" for number in range(96)]
# A name that would run as a script if it were put into a page as HTML.
EVIL = "<img src=x onerror=\"window.broken='yes'\"><script>window.broken='yes'</script>"


def cost(size: int, requests: int, mounts: int, seconds: float) -> dict[str, Any]:
    return {"bytes": size, "requests": requests, "mounts": mounts, "seconds": seconds, "money": 0.0, "devices": {}}


def step(number: int, operator: str, *inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "step": number, "operator": operator, "detail": {}, "rows_in": None, "rows": None, "bytes": None,
        "estimated": None, "actual": None, "choice": None, "reason": None, "alternatives": {}, "timeline": [],
        "inputs": list(inputs), **more,
    }  # fmt: skip


def plan() -> dict[str, Any]:
    events = step(
        3, "scan frozen", detail={"source": "events.esker", "columns": ["user", EVIL, "bytes"]},
        estimated=cost(9_600 * MEBIBYTE, 96, 6, 2711.0),
    )  # fmt: skip
    users = step(5, "scan parquet", detail={"source": "users.parquet", "fragments": "4 of 12"})
    kept = step(4, "filter", users, detail={"predicate": "country = 'NZ'"})
    joined = step(
        2, "join", events, kept, choice="asj", detail={"on": ["user"], "how": "inner"},
        reason="keys first reads 9.4 GiB of 412 GiB", estimated=cost(9_600 * MEBIBYTE, 96, 6, 2711.0),
        alternatives={"hash": cost(412 << 30, 4096, 41, 118_000.0), "ctt_gh": cost(824 << 30, 9000, 82, 240_000.0)},
    )  # fmt: skip
    groups = step(1, "map_groups", joined, detail={"by": ["user"], "function": "sessions", "partitions": 48})
    return step(0, "write parquet", groups, detail={"target": "sessions/"})


def ring(states: dict[int, str]) -> list[dict[str, Any]]:
    return [
        {
            "node": node, "state": states.get(node, "up"), "address": f"10.0.0.{node + 10}:7070",
            "points": [round(place / POINTS, 9) for place in node_points(node, 4)],
        }
        for node in range(6)
    ]  # fmt: skip


class Writer:
    """Collects events; `at` is the query's time in seconds."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, at: float, event: str, **fields: Any) -> None:
        self.events.append({"v": 1, "seconds": round(at, 6), "event": event, **fields})


def device_events(tell: Writer, dice: Random) -> None:
    """Two drives and an arm bring six cartridges: exchanges wait for the arm."""
    arm, moment = 0.0, [0.0, 0.0]
    for cartridge in range(6):
        drive = min((0, 1), key=lambda one: moment[one])
        begin = max(moment[drive], arm)
        arm = begin + 20.0
        about = {"cartridge": cartridge, "drive": drive}
        tell(
            20 + cartridge,
            "device_event",
            tier=TIER,
            device="arm",
            kind="exchange",
            start=begin,
            stop=arm,
            detail=about,
        )
        now = arm
        stretches = [("mount", 29.0)]
        for _ in range(16):
            stretches += [("locate", dice.uniform(2, 18)), ("transfer", dice.uniform(3, 9))]
        for kind, length in [*stretches, ("rewind", 31.0), ("unmount", 12.0)]:
            detail = {"cartridge": cartridge} | ({"bytes": 100 * MEBIBYTE} if kind == "transfer" else {})
            tell(
                20 + cartridge, "device_event", tier=TIER, device=f"drive {drive}", kind=kind, start=round(now, 3),
                stop=round(now + length, 3), detail=detail,
            )  # fmt: skip
            now += length
        moment[drive] = now


def cluster_events(tell: Writer) -> None:
    tell(1.0, "cluster_ring", replicas=3, members=ring({}), units=256, epoch=4)
    tell(
        12.5, "cluster_member", node=4, state="suspect", address="10.0.0.14:7070", points=[], reason="no answer for 1 s"
    )
    tell(14.0, "cluster_member", node=4, state="down", address="10.0.0.14:7070", points=[], reason="no answer for 2 s")
    for at, state, size in ((14.1, "started", None), (14.4, "done", 3 * MEBIBYTE)):
        tell(at, "cluster_reallocation", state=state, source=1, target=5, units=12, bytes=size, epoch=5)
    tell(14.5, "cluster_transaction", transaction="91", state="aborted", nodes=[1, 4, 5], key="carrier=UA")
    for number in range(40):
        tell(
            15.0 + number / 10,
            "cluster_transaction",
            transaction=str(92 + number),
            state="committed",
            nodes=[1, 2],
            key="x",
        )
    tell(19.0, "cluster_ring", replicas=3, members=ring({4: "down", 5: "recovering"}), units=256, short=[], epoch=5)


def every_event(*, done: bool = True) -> list[dict[str, Any]]:
    """The events of a query that joins, thaws, shuffles and spills; without an end if it is not `done`."""
    dice, tell = Random(7), Writer()
    tell(
        0.0,
        "log_opened",
        wall_seconds=1_795_467_600.25,
        esker="0.1.0",
        process=4242,
        budget_bytes=512 * MEBIBYTE,
        threads=2,
    )
    tell(0.2, "query_planned", plan=plan())
    tell(
        0.3, "thaw_planned", tier=TIER, choice="fetch", rows=1_204_113,
        columns=["user"], reason="96 of 4,096 row groups hold wanted rows",
        touched={key: [0] for key in EXTENTS}, extents=96, row_groups=96, pages=0, windows=12, recalls=72,
        fetch=cost(9_600 * MEBIBYTE, 96, 6, 2711.0), scan=cost(412 << 30, 4096, 41, 118_000.0),
        cost=cost(9_600 * MEBIBYTE, 96, 6, 2711.0),
        recall=cost(0, 0, 0, 0.0), full=cost(412 << 30, 4096, 41, 118_000.0),
    )  # fmt: skip
    sizes = [dice.randrange(80, 120) * MEBIBYTE for _ in EXTENTS]
    tell(
        0.4, "recall", tier="tape:/archive", extents=EXTENTS[:72], extent_bytes=sizes[:72], cost=cost(0, 72, 6, 2600.0)
    )
    cluster_events(tell)
    spilled = 0
    for tick in range(1, 161):
        at = 1.0 + tick * 0.25
        held = int((290 + 150 * math.sin(tick / 9) + dice.uniform(-25, 25)) * MEBIBYTE * min(1.0, tick / 30))
        held = min(held, 508 * MEBIBYTE)
        spilled += 9 * MEBIBYTE if tick > 40 else 0
        tell(
            at, "memory", held_bytes=held, budget_bytes=512 * MEBIBYTE, peak_held_bytes=508 * MEBIBYTE,
            process_bytes=held + 38 * MEBIBYTE, spill_bytes=max(0, spilled - max(0, tick - 110) * 20 * MEBIBYTE),
            spilled_bytes=spilled, holders={"shuffle": held * 2 // 3, "thaw": held // 4, "join": held // 12},
        )  # fmt: skip
        part = tick / 160
        for number, rows_in, rows in ((5, 3_000_000, 3_000_000), (4, 3_000_000, 184_002), (2, None, 1_204_113)):
            tell(
                at, "operator", step=number, operator="x", rows_in=rows_in and int(rows_in * part),
                rows=int(rows * part), bytes=int(rows * part) * 148, batches=tick,
                spilled_bytes=spilled if number == 2 else 0,
                partitions_done=int(12 * part), partitions=12, done=part == 1 and number != 2,
            )  # fmt: skip
        if tick % 2 == 0 and tick // 2 <= 72:
            key = EXTENTS[tick // 2 - 1]
            tell(at, "recalled", key=key, waited_seconds=tick * 16.0)
            if tick > 20:
                tell(at, "extent_read", key=EXTENTS[tick // 2 - 10], bytes=sizes[tick // 2 - 10], requests=1)
    tell(41.0, "work", operator="build the index", done=612_000, total=1_204_113, unit="rows")
    device_events(tell, dice)
    partition_rows = [int(dice.gauss(20_000, 2_500)) for _ in range(48)]
    partition_rows[31] = 96_400
    tell(
        41.4, "shuffled", step=1, by=["user"], rows=sum(partition_rows), partitions=48, pages=1204,
        largest_partition_rows=96_400, partition_rows=partition_rows, payload_bytes=900 * MEBIBYTE,
        allocated_bytes=940 * MEBIBYTE, spilled_bytes=spilled, spilled_pages=800,
        budget_bytes=512 * MEBIBYTE, budget_bytes_wanted=1_800 * MEBIBYTE,
    )  # fmt: skip
    tell(
        41.45, "key_sampled", step=1, by=["user"], key=[EVIL], share=0.41, rows=sum(partition_rows), rows_seen=90_000,
    )  # fmt: skip
    tell(41.5, "an_event_of_a_later_version", anything={"at": ["all", None]})
    if done:
        tell(42.1, "query_done", rows=1_204_113, peak_held_bytes=508 * MEBIBYTE, plan=plan())
    return tell.events


def write_log(path: Path, events: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return path
