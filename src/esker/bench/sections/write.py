"""Tuple write (source 002, 4.3): tuples whose partition is known, written to pages by one thread."""

from __future__ import annotations

from statistics import median

from esker.bench.bench import Bench
from esker.bench.columns import NANOSECONDS, NOTE, PAGES, RANGE, RATIO, RELIABLE, STRATEGY, WIDTH
from esker.bench.document import Column, Pivot, Plot, Section
from esker.bench.way import Combination, Way

COLUMNS = (STRATEGY, PAGES, WIDTH, Column("target", "written to"), NANOSECONDS, *RATIO, *RELIABLE)


def measure(bench: Bench) -> Section:
    """Time writing to one partition, and to all of them in turn."""
    rows = []
    for width in bench.asked.widths:
        targets = {"one partition": 1, "round robin": bench.asked.partitions_usual}
        for target, partitions in targets.items():
            bench.progress(f"write: {width.name} bytes, {target}")
            tuples = bench.tuples(width).placed(partitions)
            # The column that says the partition is in no page.
            last = len(tuples.whole.schema) - 1
            ways = {
                way: Way(way.strategy, way.pages, partitions, function="id", key=last, key_only=1, ordered=way.ordered)
                for way in bench.combinations(width)
            }
            found = bench.rounds(tuples, ways, 1)
            for way in ways:
                figure = found.figure(way)
                each = median(figure.seconds) / tuples.rows * 1e9
                rows.append({**_names(way), "width": width.name, "target": target, "ns_per_tuple": each,
                             **figure.to_row()})  # fmt: skip
    return Section(
        "write",
        "Tuple write: the partition of each tuple is given, one thread",
        COLUMNS,
        rows,
        Plot("target", "ns_per_tuple", "strategy", ("width",)),
        (f"Round robin is over {bench.asked.partitions_usual:,} partitions.", NOTE + " Before it, ns a tuple."),
        Pivot(("width",), ("strategy", "pages"), "target", "{ns_per_tuple} ns, " + RANGE),
    )


def _names(way: Combination) -> dict[str, str]:
    return {"strategy": way.strategy, "pages": way.pages}
