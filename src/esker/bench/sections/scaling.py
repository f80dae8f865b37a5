"""How strategies scale (source 002, 4.4.2): with threads, with partitions, and when one partition gets nearly all."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from esker.bench.bench import USUAL_PARTITIONS, Bench
from esker.bench.columns import NOTE, RANGE, RELIABLE, STRATEGY, WIDTH
from esker.bench.document import Column, Pivot, Plot, Section
from esker.bench.rounds import Rounds, Sample
from esker.bench.tuples import Tuples, Width
from esker.bench.way import Combination, Way

COLUMNS = (
    STRATEGY,
    WIDTH,
    Column("along", "along"),
    Column("value", "value"),
    Column("against", "against"),
    Column("tuples_per_second", "tuples/s", "count"),
    Column("speed", "times as fast", "ratio"),
    Column("speed_min", "min", "ratio"),
    Column("speed_max", "max", "ratio"),
    *RELIABLE,
)


def measure(bench: Bench) -> Section:
    """Time each strategy with its usual page manager along each of the three; the values of one share their rounds."""
    rows = []
    for width in bench.asked.widths:
        for way in bench.combinations(width, usual=True):
            bench.progress(f"scaling: {width.name} bytes, {way.strategy}")
            rows += _along_threads(bench, width, way)
            rows += _along_partitions(bench, width, way)
            rows += _along_skew(bench, width, way)
    return Section(
        "scaling",
        "Scaling: tuples per second against the first thread count, 256 partitions, even keys; order of arrival",
        COLUMNS,
        rows,
        Plot("value", "speed", "strategy", ("along", "width")),
        (
            f"Threads and skew at {bench.asked.partitions_usual:,} partitions.",
            "98 %: so many tuples in one partition.",
            NOTE,
        ),
        Pivot(("width", "along"), ("strategy",), "value", RANGE.replace("ratio", "speed")),
    )


def _along_threads(bench: Bench, width: Width, way: Combination) -> list[dict[str, Any]]:
    partitions = bench.asked.partitions_usual
    ways = {threads: Way(way.strategy, way.pages, partitions, threads) for threads in bench.asked.threads}
    tuples = bench.tuples(width)
    found = bench.rounds(tuples, ways, bench.asked.threads_most)
    return _rows(found, tuples.rows, way, width, "threads", min(ways))


def _along_partitions(bench: Bench, width: Width, way: Combination) -> list[dict[str, Any]]:
    threads = bench.asked.threads_most
    ways = {count: Way(way.strategy, way.pages, count, threads) for count in bench.asked.partitions}
    tuples = bench.tuples(width)
    found = bench.rounds(tuples, ways, threads)
    against = USUAL_PARTITIONS if USUAL_PARTITIONS in ways else bench.asked.partitions_usual
    return _rows(found, tuples.rows, way, width, "partitions", against)


def _along_skew(bench: Bench, width: Width, way: Combination) -> list[dict[str, Any]]:
    threads = bench.asked.threads_most
    tuples = bench.tuples(width)
    inputs: Mapping[str, Tuples] = {"uniform": tuples, "98 %": tuples.skewed()}
    chosen = Way(way.strategy, way.pages, bench.asked.partitions_usual, threads)

    def case(keys: str) -> Sample:
        return chosen.run(inputs[keys], bench.pool)

    cases = {keys: (lambda keys=keys: case(keys)) for keys in inputs}
    return _rows(bench.time(cases, tuples.size, threads), tuples.rows, way, width, "skew", "uniform")


def _rows(
    found: Rounds[Any], row_count: int, way: Combination, width: Width, along: str, against: int | str
) -> list[dict[str, Any]]:
    rows = []
    for value in found.samples:
        speeds = found.beside(value, against)
        figure = found.figure(value)
        rows.append(
            {
                "strategy": way.strategy,
                "width": width.name,
                "along": along,
                "value": str(value),
                "against": str(against),
                "tuples_per_second": round(row_count / median(figure.seconds)),
                "speed": median(speeds),
                "speed_min": min(speeds),
                "speed_max": max(speeds),
                **figure.to_row(),
            }
        )
    return rows
