"""What won, cell by cell: the thesis's "X faster than", and its claim that locks with buffers are best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from esker.bench.columns import PARTITIONS, THREADS, WIDTH
from esker.bench.document import Column, Plot, Section

# The thesis's winner, and what it is faster than: the simplest way.
CLAIMED = ("software_managed_buffers", "locked_batches")
SIMPLEST = ("on_demand", "locked")
# Closer than this, two figures are not told apart.
TIE = 0.95
COLUMNS = (
    WIDTH,
    THREADS,
    PARTITIONS,
    Column("best", "best"),
    Column("best_ratio", "of memcpy", "ratio"),
    Column("claimed_ratio", "buffers and locks", "ratio"),
    Column("claimed_part", "of the best", "ratio"),
    Column("place", "place", "count"),
    Column("faster", "times on demand", "ratio"),
    Column("holds", "claim holds"),
)


def judge(sections: Sequence[Section]) -> Section | None:
    """Compare the strategies of the throughput section; None where it has not both that the claim is about."""
    rows = [row for section in sections if section.name == "throughput" for row in section.rows]
    cells: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        cells.setdefault((row["width"], row["threads"], row["partitions"]), []).append(row)
    judged = [_row(cell, found) for cell, found in cells.items() if {CLAIMED, SIMPLEST} <= {_way(row) for row in found}]
    if not judged:
        return None
    held = sum(row["holds"] for row in judged)
    return Section(
        "verdict",
        "Verdict: are locks with software-managed buffers the best?",
        COLUMNS,
        judged,
        Plot("partitions", "claimed_part", "width", ("threads",)),
        (
            f"The claim holds in {held} of {len(judged)} cells: there no other way is more than 5 % faster.",
            "Times on demand: how many times as fast as a lock for each tuple. Order of arrival.",
        ),
    )


def _way(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["strategy"], row["pages"]


def _row(cell: tuple[Any, ...], found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ratios = {_way(row): row["ratio"] for row in found}
    best = max(ratios, key=lambda way: ratios[way])
    claimed = ratios[CLAIMED]
    width, threads, partitions = cell
    return {
        "width": width,
        "threads": threads,
        "partitions": partitions,
        "best": f"{best[0]}, {best[1]}",
        "best_ratio": ratios[best],
        "claimed_ratio": claimed,
        "claimed_part": claimed / ratios[best],
        "place": 1 + sum(ratio > claimed for ratio in ratios.values()),
        "faster": claimed / ratios[SIMPLEST],
        "holds": claimed >= TIE * ratios[best],
    }
