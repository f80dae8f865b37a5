"""Complexity (source 002, 3.9): accesses and pages by formula, beside what the kernel counted."""

from __future__ import annotations

from typing import Any

from esker.bench.bench import Bench
from esker.bench.columns import PAGES, PARTITIONS, STRATEGY, THREADS, WIDTH
from esker.bench.complexity import MEASURES, Case, predict
from esker.bench.document import Column, Pivot, Plot, Section
from esker.bench.tuples import Width
from esker.bench.way import Combination, Way

COLUMNS = (
    STRATEGY,
    PAGES,
    WIDTH,
    THREADS,
    PARTITIONS,
    Column("measure", "what"),
    Column("formula", "formula"),
    Column("predicted", "predicted", "count"),
    Column("counted", "counted", "count"),
    Column("verdict", "verdict"),
    Column("sign", "holds"),
)


def measure(bench: Bench) -> Section:
    """Count, for each combination, with the most threads and the usual partitions, in order of arrival."""
    rows = []
    for width in bench.asked.widths:
        for way in bench.combinations(width):
            bench.progress(f"complexity: {width.name} bytes, {way.strategy}, {way.pages}")
            bench.check()
            rows += _rows(bench, width, way)
    return Section(
        "complexity",
        "Complexity: tuple accesses and pages, predicted and counted",
        COLUMNS,
        rows,
        Plot("measure", "counted", "strategy", ("width",)),
        (
            f"n = {bench.asked.complexity_rows:,} tuples; r_p those of partition p; T threads; c the rows of a chunk.",
            "pages(r): pages that r tuples fill, one size of the ladder after the other; ladder(r): their bytes.",
            "Cells: counted, and the formula; != where it does not hold. Formulas with <= are bounds.",
        ),
        Pivot(("width", "threads", "partitions"), ("strategy", "pages"), "measure", "{counted} {sign} {formula}"),
    )


def _rows(bench: Bench, width: Width, way: Combination) -> list[dict[str, Any]]:
    threads, partitions = bench.asked.threads_most, bench.asked.partitions_usual
    tuples = bench.tuples(width, bench.asked.complexity_rows)
    counted = Way(way.strategy, way.pages, partitions, threads).count(tuples, bench.pool)
    case = Case(
        way.strategy,
        way.pages,
        tuples.whole.schema,
        threads,
        counted.partition_rows,
        counted.partition_bytes,
        bench.pool_bytes,
    )
    predicted = predict(case)
    return [
        {
            "strategy": way.strategy,
            "pages": way.pages,
            "width": width.name,
            "threads": threads,
            "partitions": partitions,
            "measure": name,
            "formula": predicted[name].formula,
            "predicted": predicted[name].value,
            "counted": counted.statistics[name],
            "sign": predicted[name].sign(counted.statistics[name]),
            "verdict": predicted[name].verdict(counted.statistics[name]),
        }
        for name in MEASURES
    ]
