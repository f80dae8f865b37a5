"""A cold pool: pages from fresh memory, against memcpy into fresh memory."""

from __future__ import annotations

import mmap
from functools import partial
from statistics import median

import numpy as np

from esker.bench.bench import Bench
from esker.bench.columns import NANOSECONDS, PAGES, PARTITIONS, RELIABLE, STRATEGY, THREADS, WIDTH
from esker.bench.document import Column, Plot, Section
from esker.bench.rounds import Sample, timed
from esker.bench.tuples import Tuples
from esker.bench.way import Way
from esker.kernel import _kernel

COLUMNS = (
    STRATEGY,
    PAGES,
    WIDTH,
    THREADS,
    PARTITIONS,
    Column("speed", "of memcpy into fresh memory", "ratio"),
    Column("speed_min", "min", "ratio"),
    Column("speed_max", "max", "ratio"),
    Column("speed_large", "into fresh 2 MiB pages", "ratio"),
    Column("speed_warm", "of its own warm speed", "ratio"),
    NANOSECONDS,
    *RELIABLE,
)
COPY, COPY_LARGE = "memcpy", "memcpy, large pages"


def measure(bench: Bench) -> Section:
    """Time each combination with a new pool every time, and the copies, in the same rounds."""
    rows = []
    partitions, threads = bench.asked.partitions_usual, bench.asked.threads_most
    for width in bench.asked.widths:
        bench.progress(f"cold: {width.name} bytes")
        tuples = bench.tuples(width)
        ways = {way: Way(way.strategy, way.pages, partitions, threads) for way in bench.combinations(width, usual=True)}
        cases = {(way, cold): partial(_run, ways[way], tuples, bench, cold) for way in ways for cold in (True, False)}
        source = np.ones(tuples.size, np.uint8)
        copies = {
            COPY: partial(copy_to_fresh_memory, source, threads, large_pages=False),
            COPY_LARGE: partial(copy_to_fresh_memory, source, threads, large_pages=True),
        }
        found = bench.time({**cases, **copies}, tuples.size, threads)
        for way in ways:
            speeds = found.beside((way, True), COPY)
            figure = found.figure((way, True))
            rows.append(
                {
                    "strategy": way.strategy,
                    "pages": way.pages,
                    "width": width.name,
                    "threads": threads,
                    "partitions": partitions,
                    "speed": median(speeds),
                    "speed_min": min(speeds),
                    "speed_max": max(speeds),
                    "speed_large": median(found.beside((way, True), COPY_LARGE)),
                    "speed_warm": median(found.beside((way, True), (way, False))),
                    "ns_per_tuple": median(figure.seconds) / tuples.rows * 1e9,
                    **figure.to_row(),
                }
            )
    return Section(
        "cold",
        "Cold pool: a new pool for every shuffle, against memcpy into memory that was never touched",
        COLUMNS,
        rows,
        Plot("width", "speed", "strategy"),
        ("The pool asks for 2 MiB pages; the copy is timed without and with them.",),
    )


def _run(way: Way, tuples: Tuples, bench: Bench, cold: bool) -> Sample:
    return way.run(tuples, _kernel.PagePool(bench.pool_bytes) if cold else bench.pool)


def copy_to_fresh_memory(source: np.ndarray, thread_count: int, *, large_pages: bool) -> Sample:
    """Time memcpy to a new map of memory, the map included."""
    maps: list[mmap.mmap] = []

    def work() -> None:
        maps.append(mmap.mmap(-1, max(source.nbytes, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        if large_pages:
            maps[0].madvise(mmap.MADV_HUGEPAGE)
        _kernel.copy_bytes(source, np.frombuffer(maps[0], np.uint8), thread_count)

    sample = timed(work)
    maps[0].close()
    return sample
