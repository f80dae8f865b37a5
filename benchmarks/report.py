"""Print an outcome: ratios first, with the range they lay in, then what they cost and what each case really does."""

from __future__ import annotations

from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.case import Workload
from benchmarks.harness import Figure, Outcome


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print one workload as a table, fastest first, and what could not be measured below it."""
    workload = outcome.workload
    table = Table(title=f"{workload.title}\nratio: {workload.reference} = 1, higher is faster", title_justify="left")
    for heading in (
        "case",
        "ratio",
        "min",
        "max",
        "rounds",
        "rows",
        "seconds",
        "cores",
        "peak MiB",
        *_subject(workload),
    ):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    table.add_column("what it does")
    measured = sorted((figure for figure in outcome.figures if not figure.failure), key=lambda figure: -figure.ratio)
    for figure in measured:
        behind = [f"{median(figure.behind):.2f}" if figure.behind else ""] if workload.subject else []
        table.add_row(figure.case.name, *_cells(figure), *behind, figure.case.does)
    console.print(table)
    for figure in outcome.figures:
        if figure.failure:
            console.print(f"  {figure.case.name}: {figure.failure}", markup=False)
    if workload.subject:
        line = f"  {workload.subject} x: how many times as fast as the case {workload.subject} was in the same rounds"
        console.print(line, markup=False)
    if any(figure.case.share > 1 for figure in measured):
        console.print("  rows 1/n: measured on a part of the rows, its ratio is against that part of the reference")
    if not outcome.calm:
        console.print(f"  noisy: too few of {outcome.rounds} rounds were calm; these figures are a hint")
    console.print(f"  checked: {outcome.digest}", markup=False)


def _subject(workload: Workload) -> list[str]:
    return [f"{workload.subject} x"] if workload.subject else []


def _cells(figure: Figure) -> list[str]:
    return [
        f"{figure.ratio:.3f}",
        f"{min(figure.ratios):.3f}",
        f"{max(figure.ratios):.3f}",
        str(len(figure.ratios)),
        "all" if figure.case.share == 1 else f"1/{figure.case.share}",
        f"{median(sample.seconds for sample in figure.samples):.3f}",
        f"{median(sample.cores_used for sample in figure.samples):.2f}",
        f"{max(sample.anonymous_peak_bytes for sample in figure.samples) / 2**20:,.0f}",
    ]
