"""The shuffle (source 002, 4.4.2): every strategy and page manager, width, partitions and threads, against memcpy."""

from __future__ import annotations

from statistics import median
from typing import Any

from esker.bench.bench import Bench
from esker.bench.columns import NANOSECONDS, NOTE, PAGES, PARTITIONS, RANGE, RATIO, RELIABLE, STRATEGY, THREADS, WIDTH
from esker.bench.document import Column, Pivot, Plot, Section
from esker.bench.rounds import Rounds
from esker.bench.tuples import Width
from esker.bench.way import Combination, Way

COLUMNS = (
    STRATEGY,
    PAGES,
    WIDTH,
    THREADS,
    PARTITIONS,
    *RATIO,
    Column("ordered_ratio", "ordered", "ratio"),
    Column("ordered_ratio_min", "min", "ratio"),
    Column("ordered_ratio_max", "max", "ratio"),
    NANOSECONDS,
    Column("memcpy_gigabytes_per_second", "memcpy GB/s", "number"),
    *RELIABLE,
)


def measure(bench: Bench) -> Section:
    """Time every cell; those of a width, number of threads and of partitions share their rounds."""
    rows = []
    for width in bench.asked.widths:
        for threads in bench.asked.threads:
            for partitions in bench.asked.partitions:
                bench.progress(f"throughput: {width.name} bytes, {threads} threads, {partitions:,} partitions")
                rows += _cells(bench, width, threads, partitions)
    return Section(
        "throughput",
        "Shuffle: fraction of memcpy of the same bytes with as many threads in the same round",
        COLUMNS,
        rows,
        Plot("partitions", "ratio", "strategy", ("width", "threads")),
        (
            "Order of arrival; beside it the order of the input, by those that can. One thread always keeps it.",
            "Warm pool: pages of earlier rounds are used again.",
            NOTE + " Behind the stroke: ordered.",
        ),
        Pivot(("width", "threads"), ("strategy", "pages"), "partitions", RANGE + " / {ordered_ratio}"),
    )


def _cells(bench: Bench, width: Width, threads: int, partitions: int) -> list[dict[str, Any]]:
    tuples = bench.tuples(width)
    ways = {}
    for way in bench.combinations(width):
        ways[way, False] = Way(way.strategy, way.pages, partitions, threads)
        if way.ordered and threads > 1:
            ways[way, True] = Way(way.strategy, way.pages, partitions, threads, ordered=True)
    found = bench.rounds(tuples, ways, threads)
    copied = median(sample.seconds for pair in found.references for sample in pair)
    about = {
        "width": width.name,
        "threads": threads,
        "partitions": partitions,
        "memcpy_gigabytes_per_second": tuples.size / copied / 1e9,
    }
    return [{**about, **_cell(found, way, threads, tuples.rows)} for way in bench.combinations(width)]


def _cell(found: Rounds[tuple[Combination, bool]], way: Combination, threads: int, row_count: int) -> dict[str, Any]:
    figure = found.figure((way, False))
    names = ("ordered_ratio", "ordered_ratio_min", "ordered_ratio_max")
    ordered: dict[str, Any] = dict.fromkeys(names)
    if threads == 1:
        ordered = figure.to_row("ordered_")
    elif way.ordered:
        ordered = found.figure((way, True)).to_row("ordered_")
    return {
        "strategy": way.strategy,
        "pages": way.pages,
        "ns_per_tuple": median(figure.seconds) / row_count * 1e9,
        **figure.to_row(),
        **{name: ordered[name] for name in names},
    }
