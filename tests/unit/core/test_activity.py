"""Operators count at their own pace; the log is told a few times a second, and at the end."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa

from esker.core.activity import Activity
from esker.core.clock import VirtualClock
from esker.core.event_log import EventLog
from esker.core.explanation import Explanation
from esker.core.memory import MemoryBudget
from esker.core.spill import SpillFolder

BATCH = pa.record_batch({"n": [1, 2, 3]})


class Told:
    """An activity on a virtual clock, and what its log heard."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.events: list[dict[str, Any]] = []
        log = EventLog(clock=self.clock)
        log.listen(lambda event: self.events.append(dict(event)))
        self.activity = Activity(log, MemoryBudget("64MiB"), SpillFolder(), clock=self.clock)

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]


def test_a_second_of_counting_tells_four_times_and_once_at_the_end() -> None:
    told = Told()
    meter = told.activity.meter(Explanation("scan"), partitions=2)
    meter.begin()
    for _ in range(1100):
        told.clock.sleep(0.001)
        meter.count(BATCH)
    told.activity.flush()
    rows = [event["rows"] for event in told.of("operator")]
    assert len(rows) == 5 and rows[-1] == 3300
    assert len(told.of("memory")) == 5


def test_a_long_run_is_told_of_less_often() -> None:
    told = Told()
    for _ in range(100_000):
        told.clock.sleep(1.0)
        told.activity.advance("freeze", 1, None, "rows")
    late = [event["seconds"] for event in told.of("work")]
    assert late[1] - late[0] <= 1.0
    assert late[-1] - late[-2] >= 95
    assert len(late) < 8000


def test_nothing_is_told_that_did_not_change() -> None:
    told = Told()
    told.activity.meter(Explanation("scan"), partitions=1).begin()
    told.activity.flush()
    told.activity.flush()
    assert [event["event"] for event in told.events] == ["operator", "memory"]


def test_the_last_partition_tells_at_once() -> None:
    told = Told()
    meter = told.activity.meter(Explanation("scan"), partitions=1)
    meter.begin()
    meter.count(BATCH)
    meter.end()
    (event,) = told.of("operator")
    assert event["done"] and event["rows"] == 3 and event["partitions_done"] == 1


def test_a_step_has_one_meter_however_often_it_is_asked_for() -> None:
    told = Told()
    step = Explanation("shuffle")
    assert told.activity.meter(step) is told.activity.meter(step, partitions=3)
    assert told.activity.meter(Explanation("shuffle")) is not told.activity.meter(step)


def test_threads_may_count_together() -> None:
    told = Told()
    step = Explanation("scan")
    meter = told.activity.meter(step, partitions=4)
    threads = [threading.Thread(target=lambda: [meter.count(BATCH) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert step.rows == 6000
    told.activity.flush()
    assert told.of("operator")[-1]["batches"] == 2000


def test_without_a_reader_of_the_log_nothing_is_gathered_for_it() -> None:
    activity = Activity(EventLog(), MemoryBudget("64MiB"), SpillFolder(), clock=VirtualClock())
    step = Explanation("scan")
    activity.meter(step).count(BATCH)
    activity.flush()
    assert step.rows == 3 and step.bytes is None
