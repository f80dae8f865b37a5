"""Optimisations (source 002, 3.3.5, and those learnt since): each turned off in turn."""

from __future__ import annotations

from statistics import median
from typing import Any

from esker.bench.bench import Bench
from esker.bench.columns import NOTE, PAGES, RANGE, RELIABLE, STRATEGY, THREADS, WIDTH
from esker.bench.document import Column, Pivot, Plot, Section
from esker.bench.rounds import Rounds
from esker.bench.switches import Switch, switches
from esker.bench.tuples import Tuples, Width
from esker.bench.way import Combination, Way
from esker.kernel import _kernel

COLUMNS = (
    Column("optimisation", "optimisation"),
    STRATEGY,
    PAGES,
    WIDTH,
    THREADS,
    Column("gain", "on / off", "ratio"),
    Column("gain_min", "min", "ratio"),
    Column("gain_max", "max", "ratio"),
    *RELIABLE,
)


def measure(bench: Bench) -> Section:
    """Time every combination with each optimisation on and off, in the same rounds."""
    rows = []
    for width in bench.asked.widths:
        tuples = bench.tuples(width)
        for way in bench.combinations(width):
            bench.progress(f"optimisations: {width.name} bytes, {way.strategy}, {way.pages}")
            for switch in switches():
                found = _rounds(bench, tuples, way, switch)
                rows.append(_row(found, width, way, switch, bench.asked.threads_most))
    return Section(
        "optimisations",
        "Optimisations: how many times as fast with it as without",
        COLUMNS,
        rows,
        Plot("optimisation", "gain", "strategy", ("width",)),
        (
            f"{bench.asked.partitions_usual:,} partitions by the remainder of the key, so that & in place of % shows.",
            "Order of arrival. 1.00: no effect; many have none for strategies that do not come upon them.",
            NOTE,
        ),
        Pivot(("width", "threads"), ("strategy", "pages"), "optimisation", RANGE.replace("ratio", "gain")),
    )


def _rounds(bench: Bench, tuples: Tuples, way: Combination, switch: Switch) -> Rounds[bool]:
    ways, pools = {}, {}
    for on in (True, False):
        options, pool_options = switch.options(on)
        ways[on] = Way(
            way.strategy,
            way.pages,
            bench.asked.partitions_usual,
            bench.asked.threads_most,
            function="modulo",
            options=options,
        )
        pools[on] = _kernel.PagePool(bench.pool_bytes, **pool_options) if switch.of_pool else bench.pool
    cases = {on: (lambda on=on: ways[on].run(tuples, pools[on])) for on in ways}
    return bench.time(cases, tuples.size, bench.asked.threads_most)


def _row(found: Rounds[bool], width: Width, way: Combination, switch: Switch, threads: int) -> dict[str, Any]:
    gains = found.beside(True, False)
    return {
        "optimisation": switch.name,
        "strategy": way.strategy,
        "pages": way.pages,
        "width": width.name,
        "threads": threads,
        "gain": median(gains),
        "gain_min": min(gains),
        "gain_max": max(gains),
        **found.figure(True).to_row(),
    }
