"""Latency: how long a tuple takes from its arrival to a page that can be handed on, at a given rate of arrival.

Tuples arrive in small batches at set times, whether the shuffle is ready or not. What has waited for the time-out is
flushed. After each step all partitions are asked for closed pages, and a tuple's latency is read off the page it
lies on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.bench.bench import Bench
from esker.bench.columns import PAGES, PARTITIONS, STRATEGY, THREADS
from esker.bench.document import Column, Pivot, Plot, Section
from esker.bench.tuples import Tuples, Width, make_tuples
from esker.bench.way import Combination, Way
from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.kernel import _kernel

BATCH_SECONDS = 0.001
# One thread reads: more partitions, and asking them all would be what is measured.
PARTITIONS_MOST = 32
WIDTH_NAME = "16"
COLUMNS = (
    STRATEGY,
    PAGES,
    PARTITIONS,
    THREADS,
    Column("rate", "tuples/s", "count"),
    Column("flush_ms", "time-out, ms", "number"),
    Column("mean_ms", "mean, ms", "number"),
    Column("p50_ms", "median", "number"),
    Column("p99_ms", "p99", "number"),
    Column("rows", "tuples", "count"),
    Column("pages_count", "pages", "count"),
    Column("kept_up", "fell behind", "disturbed"),
)
Seconds = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.uint32]


def measure(bench: Bench) -> Section:
    """Time each strategy at each rate."""
    rows = []
    for rate in bench.asked.latency_rates:
        for way in bench.combinations(Width.of(WIDTH_NAME), usual=True):
            bench.progress(f"latency: {rate:,} tuples a second, {way.strategy}")
            bench.check()
            rows.append(_row(bench, way, rate))
    return Section(
        "latency",
        "Latency: from a tuple's arrival to a closed page, 16-byte tuples",
        COLUMNS,
        rows,
        Plot("rate", "p99_ms", "strategy"),
        (
            f"A batch every {BATCH_SECONDS * 1e3:g} ms; what waited for the time-out is flushed; read by one thread.",
            "Cells: mean; median; 99th percentile, in ms. ~: it fell behind the arrivals by the time-out or more.",
        ),
        Pivot(
            ("partitions", "threads", "flush_ms"),
            ("strategy", "pages"),
            "rate",
            "{mean_ms}; {p50_ms}; {p99_ms}{kept_up}",
        ),
    )


def _row(bench: Bench, way: Combination, rate: int) -> dict[str, Any]:
    asked = bench.asked
    threads, partitions = asked.threads_most, asked.partitions_below(PARTITIONS_MOST)
    batch_rows = max(round(rate * BATCH_SECONDS), 1)
    batches = arrivals(batch_rows, max(round(asked.latency_seconds * rate / batch_rows), 1))
    chosen = Way(way.strategy, way.pages, partitions, threads)
    run = Arrivals(batches, batch_rows / rate, asked.flush_seconds)
    run.run(chosen.make(Tuples(Width.of(WIDTH_NAME), batches[0]), bench.pool), partitions)
    return {
        "strategy": way.strategy,
        "pages": way.pages,
        "partitions": partitions,
        "threads": threads,
        "rate": rate,
        "flush_ms": asked.flush_seconds * 1e3,
        **run.summary(),
    }


def arrivals(batch_rows: int, batch_count: int) -> list[pa.RecordBatch]:
    """Batches of 16-byte tuples: the key, 8 bytes, and the number of the batch they came in."""
    keys = make_tuples(Width.of("12"), batch_rows * batch_count).whole
    numbers = pa.array(np.repeat(np.arange(batch_count, dtype=np.uint32), batch_rows))
    whole = keys.append_column(pa.field("batch", pa.uint32(), nullable=False), numbers)
    return [whole.slice(begin, batch_rows) for begin in range(0, whole.num_rows, batch_rows)]


@dataclass
class Arrivals:
    """One run: batches that arrive every `interval`, and when the tuples of each were to be had."""

    batches: Sequence[pa.RecordBatch]
    interval: float
    flush_seconds: float
    clock: Clock = SYSTEM_CLOCK
    late: bool = False
    # Of each page that was taken: when it was closed, and of each of its tuples the number of the batch it came in.
    pages: list[tuple[float, Numbers]] = field(default_factory=list)
    _due: Seconds = field(default_factory=lambda: np.empty(0))

    def run(self, shuffle: _kernel.Shuffle, partitions: int) -> None:
        """Hand every batch over at its time; then finish, and take what is left."""
        self._due = self.clock.seconds() + self.interval * np.arange(1, len(self.batches) + 1, dtype=np.float64)
        oldest: float | None = None
        for batch, due in zip(self.batches, self._due.tolist(), strict=True):
            self.clock.sleep(max(due - self.clock.seconds(), 0.0))
            self.late = self.late or self.clock.seconds() - due > self.flush_seconds
            shuffle.push([batch])
            oldest = due if oldest is None else oldest
            if self.clock.seconds() - oldest >= self.flush_seconds:
                shuffle.flush()
                oldest = None
            self._take(shuffle.ready, partitions)
        shuffle.finish()
        self._take(shuffle.next, partitions)
        shuffle.free()

    def _take(self, page_of: Callable[[int], _kernel.PageBatch | None], partitions: int) -> None:
        # All were closed by now; looking at them takes time that is not the shuffle's.
        now = self.clock.seconds()
        for partition in range(partitions):
            while (page := page_of(partition)) is not None:
                self.pages.append((now, pa.record_batch(page).column("batch").to_numpy().copy()))

    def summary(self) -> dict[str, Any]:
        """Mean and percentiles over tuples, in milliseconds."""
        latencies = np.concatenate([now - self._due[numbers] for now, numbers in self.pages]) * 1e3
        p50, p99 = np.percentile(latencies, (50, 99))
        return {
            "mean_ms": float(latencies.mean()),
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "rows": len(latencies),
            "pages_count": len(self.pages),
            "kept_up": not self.late,
        }
