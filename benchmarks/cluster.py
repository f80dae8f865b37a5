"""The replicated index beside the embedded one: `python -m benchmarks.cluster` (docs/cluster.md).

Source-form queries R:[a,b]&[c,d](&[e,f]) of 28 vectors on 200 vectors, counted; six nodes and a coordinator as
processes on this machine. Rounds are interleaved, each way of asking once a round, another first each time; a figure
is the median over the rounds of the ratio to the embedded index in the same round. With ESKER_REALDATA set to a folder
with CRoaring's real data sets census1881 is asked, without it generated vectors.

`--ray` asks the same of nodes and a coordinator that are Ray actors (row blocks): over Arrow Flight, served from inside
the actors, and by calls of actors.

`--figure-5` is the source's experiment again: q queries, 0 to 1200, with lines fitted to the times.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import pairwise, product
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

import esker
from benchmarks.bitmap_wah import generated_sets, real_sets
from benchmarks.machine import describe_machine
from esker.bitmap import Bitmap, count_ranges
from esker.cluster.client import Cluster
from esker.cluster.local import LocalCluster
from esker.cluster.planners import PLANNERS
from esker.cluster.ray_cluster import PATHS, RayCluster
from esker.core.seeded import generator
from esker.index.vectors import VectorIndex

Query = list[tuple[int, int]]
VECTORS_A_QUERY = 28
QUERIES = 60
REST_SECONDS = 0.3
DISTURBED = 0.2
PLACEMENTS = ("row_block", "vector")
# Of the source's figure 5: seconds a query.
PUBLISHED = {"cluster": 0.00452, "embedded": 0.000152}


def queries(vector_count: int, count: int) -> list[Query]:
    """Draw queries of two or three ranges, 28 vectors in all."""
    dice = generator(28)
    drawn = []
    for _ in range(count):
        parts = 2 + int(dice.integers(2))
        cuts = np.sort(dice.choice(np.arange(1, VECTORS_A_QUERY), parts - 1, replace=False))
        widths = np.diff(np.concatenate(([0], cuts, [VECTORS_A_QUERY]))).tolist()
        firsts = [int(dice.integers(vector_count - width + 1)) for width in widths]
        drawn.append([(first, first + width - 1) for first, width in zip(firsts, widths, strict=True)])
    return drawn


def vectors_of(name: str) -> tuple[str, list[Bitmap]]:
    """Read the data set, or make one."""
    folder = os.environ.get("ESKER_REALDATA")
    found = dict(real_sets(Path(folder)) if folder else generated_sets())
    chosen = name if name in found else "unsorted"
    sets = found[chosen]
    row_count = int(max(rows.max() for rows in sets)) + 1
    return chosen, [Bitmap.from_positions(rows, row_count, "auto", "speed") for rows in sets]


def ways(clusters: Mapping[str, Cluster], batch: int) -> dict[str, Callable[[list[Query]], list[int]]]:
    """Ways of asking: each planner with row blocks, and with vectors placed whole, as the source does."""
    found: dict[str, Callable[[list[Query]], list[int]]] = {}
    for (name, cluster), index, planner in product(clusters.items(), PLACEMENTS, PLANNERS):
        if index in placements_of(name):

            def ask(
                asked: list[Query], cluster: Cluster = cluster, index: str = index, planner: str = planner
            ) -> list[int]:
                counts = []
                for at in range(0, len(asked), batch):
                    counts += cluster.count_many(asked[at : at + batch], index=index, planner=planner)
                return counts

            found[", ".join(filter(None, (index, planner, name)))] = ask
    return found


def placements_of(name: str) -> tuple[str, ...]:
    """What a cluster is asked with: that of processes, which has no name, both; those of actors row blocks."""
    return PLACEMENTS[:1] if name else PLACEMENTS


def seconds_of(
    ask: Callable[[list[Query]], list[int]], asked: list[Query], expected: list[int], rest: float = REST_SECONDS
) -> float:
    """Time one way, and compare what it says. What the way before it left undone (a hedged read) is waited for."""
    time.sleep(rest)
    began = time.perf_counter()
    found = ask(asked)
    seconds = time.perf_counter() - began
    if found != expected:
        raise AssertionError("the cluster counted other rows than the embedded index")
    return seconds


def compare(
    clusters: Mapping[str, Cluster],
    vectors: list[Bitmap],
    stored: VectorIndex,
    rounds: int,
    some: str,
    console: Console,
) -> None:
    """Print the table of ratios, of the ways with `some` in their names.

    As on the harness, a round does not count in which the reference was more than 20 % off its median.
    """
    asked = queries(len(vectors), QUERIES)

    def embedded(some: list[Query]) -> list[int]:
        return [count_ranges(vectors, one) for one in some]

    def from_file(asked: list[Query]) -> list[int]:
        return [stored.query("R:" + "&".join(f"[{a},{b}]" for a, b in one)).count() for one in asked]

    expected = embedded(asked)
    contestants: dict[str, Callable[[list[Query]], list[int]]] = {"embedded, vectors from the file": from_file}
    for batch in (1, QUERIES):
        word = "one by one" if batch == 1 else f"batches of {batch}"
        contestants |= {f"{name}; {word}": ask for name, ask in ways(clusters, batch).items()}
    contestants = {name: ask for name, ask in contestants.items() if some in name}
    measured: list[tuple[float, dict[str, float]]] = []
    for number in range(rounds + 1):
        listed = list(contestants.items())
        turn = number % len(listed)
        # Before and after: what the machine does meanwhile to one it does to the other.
        reference = median(seconds_of(embedded, asked, expected) for _ in range(3))
        times = {name: seconds_of(ask, asked, expected) for name, ask in listed[turn:] + listed[:turn]}
        reference = (reference + median(seconds_of(embedded, asked, expected) for _ in range(3))) / 2
        if number:  # the first round warms up
            measured.append((reference, times))
    usual = median(reference for reference, _ in measured)
    counted = [one for one in measured if abs(one[0] / usual - 1) <= DISTURBED]
    ratios = {name: [times[name] / reference for reference, times in counted] for name in contestants}
    console.print(f"{len(counted)} of {len(measured)} rounds count")
    table = Table(title=f"time a query / embedded in memory ({usual / QUERIES * 1e6:,.0f} us)", title_justify="left")
    for heading in ("way", "ratio", "least", "greatest"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for name, found in ratios.items():
        table.add_row(name, f"{median(found):.1f}", f"{min(found):.1f}", f"{max(found):.1f}")
    console.print(table)


def figure_5(clusters: Mapping[str, Cluster], vectors: list[Bitmap], most: int, some: str, console: Console) -> None:
    """Time q queries, one by one, and fit lines; q queries are the first q of all, timed once."""
    asked = queries(len(vectors), most)
    steps = list(range(0, most + 1, max(most // 24, 1)))
    expected = [count_ranges(vectors, one) for one in asked]
    contestants = {"embedded": lambda some: [count_ranges(vectors, one) for one in some], **ways(clusters, 1)}
    table = Table(
        title=f"seconds for q queries, 0 to {most}: slope and offset of the line fitted", title_justify="left"
    )
    for heading in ("way", "slope, s a query", "offset, s", "R2", "slope / embedded"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    slopes: dict[str, float] = {}
    for name, ask in contestants.items():
        if name != "embedded" and some not in name:
            continue
        seconds_of(ask, asked[:20], expected[:20])
        times = [0.0]
        for start, stop in pairwise(steps):
            times.append(times[-1] + seconds_of(ask, asked[start:stop], expected[start:stop], rest=0.0))
        slope, offset = np.polyfit(steps, times, 1)
        fitted = np.polyval((slope, offset), steps)
        spread = float(np.sum((np.array(times) - np.mean(times)) ** 2))
        fit = 1 - float(np.sum((np.array(times) - fitted) ** 2)) / spread
        slopes[name] = float(slope)
        ratio = slopes[name] / slopes["embedded"]
        table.add_row(name, f"{slope:.6f}", f"{offset:+.4f}", f"{fit:.4f}", f"{ratio:.1f}")
    ratio = PUBLISHED["cluster"] / PUBLISHED["embedded"]
    table.add_row("source 004: embedded", f"{PUBLISHED['embedded']:.6f}", "-0.0023", "0.9818", "1.0")
    table.add_row("source 004: cluster", f"{PUBLISHED['cluster']:.6f}", "+0.0700", "0.9919", f"{ratio:.1f}")
    console.print(table)


def opened(folder: Path, nodes: int, stack: ExitStack, *, ray: bool) -> Iterator[tuple[str, Cluster]]:
    """Start clusters, each with what its ways are called by beside index and planner, and open them."""
    local = stack.enter_context(LocalCluster(folder / "cluster"))
    local.up(nodes)
    yield "", stack.enter_context(local.connect())
    if not ray:
        return
    stack.enter_context(esker.connect("ray"))
    for path in PATHS:
        hosts = stack.enter_context(RayCluster(folder / path, path=path))
        hosts.up(nodes)
        yield f"actors by {path}", stack.enter_context(hosts.connect())


def main(arguments: list[str]) -> int:
    """Start a cluster, put the vectors in both placements, and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--set", default="census1881")
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--some", default="", metavar="TEXT", help="only ways with this in their name")
    parser.add_argument("--ray", action="store_true", help="ask actors of a Ray cluster, too")
    parser.add_argument("--figure-5", action="store_true", dest="figure")
    parser.add_argument("--most", type=int, default=1200, help="queries of figure 5")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    name, vectors = vectors_of(options.set)
    with tempfile.TemporaryDirectory(prefix="esker-cluster-") as text, ExitStack() as stack:
        folder = Path(text)
        clusters = dict(opened(folder, options.nodes, stack, ray=options.ray))
        for where, cluster in clusters.items():
            for placement in placements_of(where):
                cluster.create(placement, vectors[0].row_count, placement=placement)
                cluster.put_many(dict(enumerate(vectors)), index=placement)
        console.print(f"{name}: {len(vectors)} vectors of {vectors[0].row_count:,} rows; {options.nodes} nodes")
        console.print(describe_machine(), markup=False)
        if options.figure:
            figure_5(clusters, vectors, options.most, options.some, console)
            return 0
        stored = stack.enter_context(VectorIndex.open(folder / "embedded", vectors[0].row_count))
        stored.put_many(dict(enumerate(vectors)))
        compare(clusters, vectors, stored, options.rounds, options.some, console)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
