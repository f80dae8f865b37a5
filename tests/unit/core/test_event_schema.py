"""Every event that real runs log is documented, and as documented."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import esker
from esker.core.event_log import read_events
from esker.core.event_schema import EVENTS, MEMBER_STATES, faults_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "formats" / "event-log.md"
ROWS = 60_000


def test_the_document_names_every_event_and_every_field() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", DOCUMENT.read_text(), re.M))
    for event, fields in EVENTS.items():
        for name in fields:
            assert f"`{name}`" in rows[event], f"{event}.{name}"
    for state in MEMBER_STATES:
        assert f"`{state}`" in DOCUMENT.read_text()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[dict[str, Any]]]:
    """The events of runs that shuffle, spill, sort, join, freeze, thaw from tape and from a Bag."""
    folder = tmp_path_factory.mktemp("runs")
    table = pa.table(
        {
            "k": [row * 7919 % 1000 for row in range(ROWS)],
            "v": list(range(ROWS)),
            "text": [f"{row:0400d}" for row in range(ROWS)],
        }
    )
    rows = esker.from_arrow(table).with_options(memory="16MiB", spill_folder=folder)
    frozen = folder / "rows.esker"
    tape = f"tape:{folder / 'library'}?device=lto9-hh"

    def log(name: str) -> Path:
        return folder / f"{name}.jsonl"

    rows.filter("v >= 0").shuffle("k", 8).write_partitions(folder / "parts", log=log("shuffle"))
    rows.sort("text", descending=True).write(folder / "sorted.parquet", log=log("sort"))
    rows.join(rows.head(50), on="k", algorithm="hash").write(folder / "joined.parquet", log=log("join"))
    esker.freeze(rows, frozen, keys="k", index={"k": "equality"}, tier=tape, log=log("freeze"))
    esker.read_frozen(frozen).filter("k = 3").to_arrow(log=log("thaw"))
    esker.range(100).map(str).with_options(runtime="threads", log=log("bag")).count()
    with pytest.raises(esker.errors.UserFunctionError):
        rows.map_batches(_fails, table.schema).to_arrow(log=log("failed"))
    for _ in rows.with_options(log=log("left")).execute():
        break
    return {path.stem: read_events(path) for path in folder.glob("*.jsonl")}


def _fails(batch: pa.RecordBatch) -> Any:
    raise ValueError("no")


def test_all_events_of_real_runs_are_as_documented(runs: Mapping[str, list[dict[str, Any]]]) -> None:
    assert [fault for events in runs.values() for event in events for fault in faults_of(event)] == []
    seen = {event["event"] for events in runs.values() for event in events}
    assert seen >= {
        *("log_opened", "query_planned", "query_done", "query_failed", "query_stopped"),
        *("operator", "work", "memory", "shuffled", "sort_run_spilled", "join_planned", "join_done"),
        *("freeze_started", "freeze_done", "extent_frozen", "thaw_planned", "device_event", "thaw_done"),
    }


def test_the_last_event_says_how_the_query_ended(runs: Mapping[str, list[dict[str, Any]]]) -> None:
    ends = {name: events[-1]["event"] for name, events in runs.items()}
    assert ends["failed"] == "query_failed" and ends["left"] == "query_stopped"
    assert {ends[name] for name in ("shuffle", "sort", "join", "thaw", "bag")} == {"query_done"}
    assert runs["failed"][-1]["error"] == "UserFunctionError"


def test_operators_say_what_went_in_and_out(runs: Mapping[str, list[dict[str, Any]]]) -> None:
    last = {event["step"]: event for event in runs["shuffle"] if event["event"] == "operator"}
    assert [last[step]["operator"] for step in sorted(last)] == ["shuffle", "scan arrow"]
    assert {(one["rows_in"], one["rows"], one["done"]) for one in last.values()} == {(ROWS, ROWS, True)}
    assert last[0]["spilled_bytes"] > 0
    assert last[0]["partitions_done"] == last[0]["partitions"] == 8
    nbytes = ROWS * (8 + 8 + 400 + 4)
    assert last[1]["bytes"] == pytest.approx(nbytes, rel=0.01)


def test_memory_stays_below_the_budget_that_it_names(runs: Mapping[str, list[dict[str, Any]]]) -> None:
    told = [event for event in _all(runs) if event["event"] == "memory"]
    assert all(event["held_bytes"] <= event["peak_held_bytes"] <= event["budget_bytes"] for event in told)
    assert max(event["spilled_bytes"] for event in told) > 0


def test_each_stretch_of_a_device_is_told_once(runs: Mapping[str, list[dict[str, Any]]]) -> None:
    told = [event for event in runs["thaw"] if event["event"] == "device_event"]
    stretches = [(event["device"], event["kind"], event["start"]) for event in told]
    assert stretches and len(set(stretches)) == len(stretches)
    timeline = [event for step in _walk(runs["thaw"][-1]["plan"]) for event in step["timeline"]]
    assert len(timeline) == len(told)


def _all(runs: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [event for events in runs.values() for event in events]


def _walk(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan["inputs"]:
        yield from _walk(below)
