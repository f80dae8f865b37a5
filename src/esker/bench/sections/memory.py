"""Memory consumption (source 002, 4.4.1 and 3.9.2): pages against what is in them, as partitions fill."""

from __future__ import annotations

from typing import Any

from esker.bench.bench import Bench
from esker.bench.columns import PAGES, STRATEGY, THREADS, WIDTH
from esker.bench.document import Column, Pivot, Plot, Section
from esker.bench.way import Way
from esker.kernel import _kernel

COLUMNS = (
    STRATEGY,
    PAGES,
    WIDTH,
    THREADS,
    Column("rows_per_partition", "tuples a partition", "count"),
    Column("payload_bytes", "payload", "bytes"),
    Column("allocated_bytes", "pages take", "bytes"),
    Column("overhead", "pages / payload", "ratio"),
    Column("pages_count", "pages", "count"),
    Column("peak_bytes", "peak of the pool", "bytes"),
    Column("beside_bytes", "beside pages, at most", "bytes"),
)


def measure(bench: Bench) -> Section:
    """Count bytes of each strategy and page manager, each with a pool of its own."""
    rows = []
    partitions, threads = bench.asked.memory_partitions, bench.asked.threads_most
    for width in bench.asked.widths:
        for per_partition in bench.asked.memory_rows:
            bench.progress(f"memory: {width.name} bytes, {per_partition:,} tuples a partition")
            tuples = bench.tuples(width, per_partition * partitions)
            for way in bench.combinations(width):
                bench.check()
                pool = _kernel.PagePool(bench.pool_bytes)
                found = Way(way.strategy, way.pages, partitions, threads).count(tuples, pool).statistics
                beside = _kernel.Shuffle.overhead_bytes(
                    tuples.whole.schema, partitions, way.strategy, way.pages, threads
                )
                names = {"strategy": way.strategy, "pages": way.pages, "width": width.name, "threads": threads}
                rows.append({**names, "rows_per_partition": per_partition, "beside_bytes": beside, **_bytes(found)})
    return Section(
        "memory",
        f"Memory of {partitions:,} partitions",
        COLUMNS,
        rows,
        Plot("rows_per_partition", "overhead", "strategy", ("width",)),
        (
            "Pages grow with their partition: 64 KiB, 256 KiB, 1 MiB, 5 MiB.",
            "Cells: bytes of pages over bytes in them; pages; the most that the pool held.",
        ),
        Pivot(
            ("width", "threads"),
            ("strategy", "pages", "beside_bytes"),
            "rows_per_partition",
            "{overhead}; {pages_count}; {peak_bytes}",
        ),
    )


def _bytes(found: Any) -> dict[str, Any]:
    return {
        "payload_bytes": found["payload_bytes"],
        "allocated_bytes": found["allocated_bytes"],
        "overhead": found["allocated_bytes"] / max(found["payload_bytes"], 1),
        "pages_count": found["pages"],
        "peak_bytes": found["pool_peak_bytes"],
    }
