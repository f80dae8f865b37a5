"""Tuple generation (source 002, 4.2): what the simulation's input costs, so that it can be told from the shuffle."""

from __future__ import annotations

from functools import partial
from statistics import median

from esker.bench.bench import Bench
from esker.bench.columns import NANOSECONDS, RATIO, RELIABLE, THREADS, WIDTH
from esker.bench.document import Plot, Section
from esker.bench.rounds import timed
from esker.bench.tuples import Room

COLUMNS = (WIDTH, THREADS, NANOSECONDS, *RATIO, *RELIABLE)


def measure(bench: Bench) -> Section:
    """Time the generator for each width and number of threads."""
    rows = []
    for width in bench.asked.widths:
        room = Room(width, bench.asked.rows_of(width))
        for threads in bench.asked.threads:
            bench.progress(f"generation: {width.name} bytes, {threads} threads")
            found = bench.time({"generate": partial(timed, partial(room.generate, threads))}, room.size, threads)
            figure = found.figure("generate")
            each = median(figure.seconds) / room.rows * 1e9
            rows.append({"width": width.name, "threads": threads, "ns_per_tuple": each, **figure.to_row()})
    return Section(
        "generation",
        "Tuple generation: keys and data from a generator, in batches",
        COLUMNS,
        rows,
        Plot("width", "ns_per_tuple", "threads"),
    )
