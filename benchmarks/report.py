"""Print an outcome: ratios first, with the range they lay in, then what they cost and what each case really does."""

from __future__ import annotations

from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Figure, Outcome


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print one workload as a table, fastest first, and what could not be measured below it."""
    workload = outcome.workload
    table = Table(title=f"{workload.title}\nratio: {workload.reference} = 1, higher is faster", title_justify="left")
    for heading in ("case", "ratio", "min", "max", "rounds", "seconds", "cores", "peak MiB"):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    table.add_column("what it does")
    measured = sorted((figure for figure in outcome.figures if not figure.failure), key=lambda figure: -figure.ratio)
    for figure in measured:
        table.add_row(figure.case.name, *_cells(figure), figure.case.does)
    console.print(table)
    for figure in outcome.figures:
        if figure.failure:
            console.print(f"  {figure.case.name}: {figure.failure}", markup=False)
    if not outcome.calm:
        console.print(f"  noisy: too few of {outcome.rounds} rounds were calm; these figures are a hint")
    console.print(f"  checked: {outcome.digest}", markup=False)


def _cells(figure: Figure) -> list[str]:
    return [
        f"{figure.ratio:.3f}",
        f"{min(figure.ratios):.3f}",
        f"{max(figure.ratios):.3f}",
        str(len(figure.ratios)),
        f"{median(sample.seconds for sample in figure.samples):.3f}",
        f"{median(sample.cores_used for sample in figure.samples):.2f}",
        f"{max(sample.anonymous_peak_bytes for sample in figure.samples) / 2**20:,.0f}",
    ]
