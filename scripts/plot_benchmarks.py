"""Draw the plots of docs/benchmarks from the figures that stand in the pages: `python scripts/plot_benchmarks.py`.

Each plot is drawn from one table of a page; nothing is measured here, and no figure is typed twice. An SVG carries the
digest of its table, so that a test finds plots that are older than their figures without drawing them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True)
class Plot:
    """A horizontal bar for each row of a table: of which page, under which words of its header, from which column."""

    name: str
    page: str
    header: str
    column: int
    title: str
    unit: str
    first: int = 0
    rows: int = 12


@dataclass(frozen=True)
class Lines:
    """A line for each value of one column of a table, against the numbers of another."""

    name: str
    page: str
    header: str
    series: int
    column: int
    title: str
    unit: str
    x_unit: str
    series_unit: str
    first: int = 0
    rows: int = 99


SLOW_STORE = ("thaw.md", "| 1 % of S matches, clustered |")
RING = ("scale.md", "| nodes | points | largest |")
PLOTS: list[Plot | Lines] = [
    Plot("late-materialisation", *SLOW_STORE, 1, "Join over a slow store, 1 % of rows match, clustered", "seconds"),
    Plot("late-materialisation-bytes", *SLOW_STORE, 2, "The same join: what was read", "MB"),
    Plot(
        "join-memory",
        "joins.md",
        "| case | seconds | against DuckDB |",
        3,
        "Local join of wide rows: peak memory",
        "MiB",
    ),
    Plot(
        "graph-memory",
        "benchmarks/graphs.md",
        "| 10,000,000 edges |",
        2,
        "PageRank of 10 million edges: peak memory",
        "MiB",
    ),
    Plot(
        "bytes-in-flight",
        "benchmarks/streams.md",
        "| engine | MiB ahead |",
        1,
        "A fast file, a slow sink: how far reading is ahead",
        "MiB",
    ),
    Lines("ring-balance", *RING, 1, 2, "The fullest node's share, of the even share", "times", "nodes", "points each"),
    Lines(
        "ring-repair",
        *RING,
        1,
        8,
        "Until all copies are back: 100 GB a node, 1 GB/s into each",
        "seconds",
        "nodes",
        "points each",
    ),
]


def table(plot: Plot | Lines) -> list[tuple[str, float]]:
    """The labels and figures of a plot's table; ValueError when there is none. Lines have two labels in one."""
    lines = (DOCS / plot.page).read_text(encoding="utf-8").splitlines()
    try:
        start = next(number for number, line in enumerate(lines) if line.startswith(plot.header))
    except StopIteration:
        raise ValueError(f"{plot.page} has no table that begins with {plot.header!r}") from None
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip().replace("**", "").replace("`", "") for cell in line.strip("|").split("|")]
        if number := re.match(r"[\d,]+(?:\.\d+)?", cells[plot.column]):
            label = cells[plot.first] + (f"\t{cells[plot.series]}" if isinstance(plot, Lines) else "")
            found.append((label, float(number[0].replace(",", ""))))
    if len(found) < 2:
        raise ValueError(f"{plot.page}: the table {plot.header!r} has no figures in column {plot.column}")
    return found[: plot.rows]


def digest(plot: Plot | Lines) -> str:
    """What a plot was drawn from, in 16 hex digits."""
    return hashlib.sha256(repr((plot, table(plot))).encode()).hexdigest()[:16]


def draw(plot: Plot | Lines) -> None:
    """Write docs/benchmarks/plots/<name>.svg."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.hashsalt": plot.name, "svg.fonttype": "none", "font.size": 10}
    rows = table(plot)
    height = 0.9 + 0.36 * len(rows) if isinstance(plot, Plot) else 3.6
    figure, axes = pyplot.subplots(figsize=(7, height), layout="constrained")
    if isinstance(plot, Plot):
        _bars(axes, plot, rows[::-1])
    else:
        _lines(axes, plot, rows)
    axes.set_title(plot.title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    path: Any = DOCS / "benchmarks/plots" / f"{plot.name}.svg"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Description": f"from {plot.page}, {digest(plot)}"}, facecolor="white")
    pyplot.close(figure)
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def _bars(axes: Any, plot: Plot, rows: list[tuple[str, float]]) -> None:
    colours = ["#b06a12" if label.lower().startswith(("esker", "stream.")) else "#8a9aa8" for label, _ in rows]
    bars = axes.barh([label for label, _ in rows], [value for _, value in rows], color=colours)
    axes.bar_label(bars, [f"{value:,.10g}" for _, value in rows], padding=3)
    axes.set_xlabel(plot.unit)
    axes.margins(x=0.12)


def _lines(axes: Any, plot: Lines, rows: list[tuple[str, float]]) -> None:
    series: dict[str, list[tuple[float, float]]] = {}
    for label, value in rows:
        x, name = label.split("\t")
        series.setdefault(name, []).append((float(x.replace(",", "")), value))
    for (name, points), colour in zip(series.items(), ("#8a9aa8", "#1f6f9f", "#b06a12", "#222222"), strict=False):
        axes.plot(*zip(*points, strict=True), marker="o", color=colour)
        axes.annotate(f"{name} {plot.series_unit}", points[-1], xytext=(8, 0), textcoords="offset points", va="center")
    axes.set_xscale("log")
    axes.set_xticks(sorted({x for points in series.values() for x, _ in points}), labels=None, minor=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.18)
    axes.set_xlabel(plot.x_unit)
    axes.set_ylabel(plot.unit)


if __name__ == "__main__":
    for each in PLOTS:
        draw(each)
        print(f"docs/benchmarks/plots/{each.name}.svg")
