"""What a query is doing: its operators count, and a few times a second the event log is told.

An operator counts rows and bytes at its own pace, from any thread. Telling is done by whoever counts when the time has
come, so there is no thread for it, and a query that nobody watches pays for additions only.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.event_log import EventLog
from esker.core.explanation import Explanation
from esker.core.memory import MemoryBudget
from esker.core.progress import Progress, Silent, Watcher
from esker.core.spill import SpillFolder

if TYPE_CHECKING:
    import pyarrow as pa

# How often the log is told: four times a second at first, in long runs about a thousand times each time the run gets
# e times as long, so that a log of a day is no longer than one of an hour by much.
TICK_SECONDS = 0.25
TICK_SHARE = 1000
# Asking Arrow for the bytes of a batch takes microseconds a column: of every so many batches one is asked.
MEASURED_EVERY = 8


class Counts(NamedTuple):
    """What a meter has counted; None where it was not asked to."""

    rows: int | None
    rows_in: int | None
    batches: int
    measured_rows: int
    measured_bytes: int


class Meter:
    """The counts of one operator; made by `Activity.meter`. Threads may count at any time.

    `rows` are those it gave on, `bytes` what these take in memory, judged by an eighth of the batches; `rows_in` those
    it took (of a scan: those it decoded, before its predicate).
    """

    def __init__(self, activity: Activity, explanation: Explanation) -> None:
        self._activity = activity
        self._explanation = explanation
        self._lock = threading.Lock()
        self.partitions: int | None = None
        self._partitions_done = 0
        self._rows = 0
        self._measured_rows = 0
        self._measured_bytes = 0
        self._batches = 0
        self._spilled_bytes = 0
        self._changed = False

    def begin(self) -> None:
        """A partition begins: from now on the plan says how many rows there were, be it none."""
        with self._lock:
            # Not before: a plan that was not run has no rows to tell, not none.
            self._explanation.rows = self._rows
            self._changed = True

    def count(self, batch: pa.RecordBatch) -> None:
        """A batch is given on."""
        with self._lock:
            if self._batches % MEASURED_EVERY == 0:
                self._measured_rows += batch.num_rows
                self._measured_bytes += batch.nbytes
            self._rows += batch.num_rows
            self._batches += 1
            self._explanation.rows = rows = self._rows
            self._changed = True
        self._activity.counted(self._explanation.operator, rows)

    def counts(self) -> Counts:
        """All so far, for the meter of the same step in another process."""
        with self._lock:
            step = self._explanation
            return Counts(step.rows, step.rows_in, self._batches, self._measured_rows, self._measured_bytes)

    def add(self, counts: Counts, partitions: int = 1) -> None:
        """What another process counted in so many partitions, which it has read to their end."""
        with self._lock:
            step = self._explanation
            if counts.rows_in is not None:
                step.rows_in = (step.rows_in or 0) + counts.rows_in
            self._rows += counts.rows or 0
            self._batches += counts.batches
            self._measured_rows += counts.measured_rows
            self._measured_bytes += counts.measured_bytes
            if counts.rows is not None:
                step.rows = self._rows
            self._changed = True
            rows = self._rows
        self._activity.counted(self._explanation.operator, rows)
        for _ in range(partitions):
            self.end()

    def took(self, rows: int) -> None:
        """Rows are taken in; only for what has no step of the plan below it, or takes all before it gives."""
        with self._lock:
            self._explanation.rows_in = taken = (self._explanation.rows_in or 0) + rows
            self._changed = True
        self._activity.counted(self._explanation.operator, taken)

    def spilled(self, total_bytes: int) -> None:
        """So much was written to spill files so far."""
        with self._lock:
            self._spilled_bytes = total_bytes
            self._changed = True

    def end(self) -> None:
        """A partition was read to its end."""
        with self._lock:
            self._partitions_done += 1
            self._changed = True
            last = self._partitions_done == self.partitions
        if last:
            self._activity.tell(self)

    def _bytes(self) -> int:
        return self._measured_bytes * self._rows // max(self._measured_rows, 1)

    def _event(self) -> dict[str, Any] | None:
        """What there is to tell, or None when nothing changed since it was told last."""
        with self._lock:
            if not self._changed:
                return None
            self._changed = False
            step = self._explanation
            step.bytes = self._bytes()
            return {
                "step": step.step,
                "operator": step.operator,
                "rows_in": rows_taken(step),
                "rows": self._rows,
                "bytes": self._bytes(),
                "batches": self._batches,
                "spilled_bytes": self._spilled_bytes,
                "partitions_done": self._partitions_done,
                "partitions": self.partitions,
                "done": self._partitions_done == self.partitions,
            }


def rows_taken(step: Explanation) -> int | None:
    """The rows that a step took so far: counted, or what the steps below it gave.

    >>> rows_taken(Explanation("filter", inputs=[Explanation("scan csv", rows=3)]))
    3
    """
    if step.rows_in is not None:
        return step.rows_in
    below = [one.rows for one in step.inputs if one.rows is not None]
    return sum(below) if below else None


class HasTimeline(Protocol):
    """A tier whose devices keep account of what they do."""

    @property
    def uri(self) -> str: ...

    @property
    def timeline(self) -> Sequence[Any]: ...


class Activity:
    """All that happens in one query; implements esker.core.progress.Progress for what is no step of a plan.

    >>> seen = []
    >>> log = EventLog()
    >>> log.listen(seen.append)
    >>> activity = Activity(log, MemoryBudget("64MiB"), SpillFolder())
    >>> activity.advance("index", 10, 20, "rows")
    >>> activity.flush()
    >>> [(event["event"], event.get("done")) for event in seen]
    [('work', 10), ('memory', None)]
    """

    def __init__(
        self,
        log: EventLog,
        budget: MemoryBudget,
        spill: SpillFolder,
        progress: Progress | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._log = log
        self._budget = budget
        self._spill = spill
        self._progress = progress or Silent()
        self._clock = clock
        self._start = self._last = clock.seconds()
        self._lock = threading.Lock()
        # The meter holds the explanation, so that no other gets its id.
        self._meters: dict[int, Meter] = {}
        self._work: dict[str, dict[str, Any]] = {}
        self._devices: dict[int, int] = {}
        self._spilled_bytes = 0
        self._at_end: list[Callable[[], None]] = []
        self._watches = isinstance(self._progress, Watcher)
        if isinstance(self._progress, Watcher):
            log.listen(self._progress.watch)

    def meter(self, explanation: Explanation, partitions: int | None = None) -> Meter:
        """A meter for a step of the plan, which gets the counts too."""
        with self._lock:
            meter = self._meters.get(id(explanation))
            if meter is None:
                meter = self._meters[id(explanation)] = Meter(self, explanation)
        if partitions is not None:
            meter.partitions = partitions
        return meter

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        """Work that is counted in its own units; see Progress."""
        if not self._watches:
            self._progress.advance(operator, done, total, unit)
        with self._lock:
            self._work[operator] = {"operator": operator, "done": done, "total": total, "unit": unit}
        self.tick()

    def counted(self, operator: str, rows: int) -> None:
        """A step of the plan has counted so many rows: progress that does not watch the log is told by the batch."""
        if not self._watches:
            self._progress.advance(operator, rows, None, "rows")
        self.tick()

    def spilled(self, size_bytes: int) -> None:
        """Bytes were written to spill files."""
        with self._lock:
            self._spilled_bytes += size_bytes

    def watch_devices(self, tier: HasTimeline) -> None:
        """From now on what the tier's devices do belongs to this query."""
        with self._lock:
            self._devices.setdefault(id(tier), len(tier.timeline))

    def tell_devices(self, tier: HasTimeline) -> None:
        """Log what the tier's devices did since this was last called; each event once, whoever asks."""
        with self._lock:
            start = self._devices.get(id(tier), 0)
            events = tier.timeline[start:]
            self._devices[id(tier)] = start + len(events)
        for event in events:
            self._log.emit("device_event", tier=tier.uri, **event.to_json())

    def at_end(self, tell: Callable[[], None]) -> None:
        """Call `tell` when all rows were delivered, for what is known only then; not when the query failed."""
        self._at_end.append(tell)

    def finish(self) -> None:
        """All rows were delivered: tell the log everything that is left."""
        while self._at_end:
            self._at_end.pop(0)()
        if self._log.heard:
            self._tell_all(last=True)

    def due(self) -> bool:
        """Whether it is time to tell; what is dear to find out is found out only then."""
        now = self._clock.seconds()
        return now - self._last >= max(TICK_SECONDS, (now - self._start) / TICK_SHARE)

    def tick(self) -> None:
        """Tell the log what changed, if it is time."""
        if not self.due() or not self._log.heard:
            return
        with self._lock:
            if not self.due():
                return
            self._last = self._clock.seconds()
        self._tell_all()

    def tell(self, meter: Meter) -> None:
        """Tell the log of one operator now."""
        if self._log.heard and (event := meter._event()) is not None:
            self._log.emit("operator", **event)

    def flush(self) -> None:
        """Tell the log what changed, whatever the time."""
        if self._log.heard:
            self._tell_all()

    def close(self) -> None:
        """Tell progress that the query ended; who ends it flushes before saying so to the log."""
        self._meters.clear()
        self._work.clear()
        self._at_end.clear()
        self._progress.close()

    def _tell_all(self, last: bool = False) -> None:
        with self._lock:
            meters = [*self._meters.values()]
            work, self._work = self._work, {}
        counted = [event for meter in meters if (event := meter._event()) is not None]
        for event in counted:
            self._log.emit("operator", **event)
        for one in work.values():
            self._log.emit("work", **one)
        if counted or work or last:
            self._log.emit("memory", **self._memory())

    def _memory(self) -> dict[str, Any]:
        return {
            "held_bytes": self._budget.held_bytes,
            "budget_bytes": self._budget.total_bytes,
            "peak_held_bytes": self._budget.peak_bytes,
            "holders": self._budget.holders(),
            "process_bytes": anonymous_bytes(),
            "spill_bytes": self._spill.held_bytes,
            "spilled_bytes": self._spilled_bytes,
        }


def anonymous_bytes() -> int | None:
    """The anonymous memory of this process, without what it shares; None where the system does not say."""
    try:
        _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    except (OSError, ValueError):
        return None
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
