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


SLOW_STORE = ("thaw.md", "| 1 % of S matches, clustered |")
PLOTS = [
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
]


def table(plot: Plot) -> list[tuple[str, float]]:
    """The labels and figures of a plot's table; ValueError when there is none."""
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
            found.append((cells[plot.first], float(number[0].replace(",", ""))))
    if len(found) < 2:
        raise ValueError(f"{plot.page}: the table {plot.header!r} has no figures in column {plot.column}")
    return found[: plot.rows]


def digest(plot: Plot) -> str:
    """What a plot was drawn from, in 16 hex digits."""
    return hashlib.sha256(repr((plot, table(plot))).encode()).hexdigest()[:16]


def draw(plot: Plot) -> None:
    """Write docs/benchmarks/plots/<name>.svg."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.hashsalt": plot.name, "svg.fonttype": "none", "font.size": 10}
    rows = table(plot)[::-1]
    figure, axes = pyplot.subplots(figsize=(7, 0.9 + 0.36 * len(rows)), layout="constrained")
    colours = ["#b06a12" if label.lower().startswith(("esker", "stream.")) else "#8a9aa8" for label, _ in rows]
    bars = axes.barh([label for label, _ in rows], [value for _, value in rows], color=colours)
    axes.bar_label(bars, [f"{value:,.10g}" for _, value in rows], padding=3)
    axes.set_title(plot.title, loc="left", fontsize=11)
    axes.set_xlabel(plot.unit)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    path: Any = DOCS / "benchmarks/plots" / f"{plot.name}.svg"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Description": f"from {plot.page}, {digest(plot)}"}, facecolor="white")
    pyplot.close(figure)
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


if __name__ == "__main__":
    for each in PLOTS:
        draw(each)
        print(f"docs/benchmarks/plots/{each.name}.svg")
