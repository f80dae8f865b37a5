"""`esker bench paper`: the figures and claims of the separation join paper, reproduced."""

from __future__ import annotations

import functools
import json as json_
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from esker.cli.arguments import Debug, DryRun, Json, Quiet
from esker.cli.bench import PLAIN_WIDTH, STDOUT, Outputs, numbers_of
from esker.cli.interrupts import Interrupts

if TYPE_CHECKING:
    from rich.console import Console

    from esker.bench.paper.figures import Figure

BEGIN = "<!-- esker bench paper --markdown: begin -->"
END = "<!-- esker bench paper --markdown: end -->"


def paper(
    context: typer.Context,
    figure: Annotated[str | None, typer.Option(metavar="N,...", help="Only these figures, 2 to 8.")] = None,
    extents_only: Annotated[
        bool, typer.Option("--extents-only", help="Simulate extents at full size; run no operators. Seconds.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A few points of each figure.")] = False,
    json: Json = False,
    plots: Annotated[str | None, typer.Option(metavar="FOLDER", help="Write one SVG file a figure.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the block that docs/paper-joins.md has.")] = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Reproduce figures 2 to 8 of the separation join paper, and check its claims.

    Beside the closed form stand an event simulation at full size and the real operators, run on generated relations
    with memory, disk, rates and cartridges scaled down alike, so that their virtual seconds are those of the full
    size. The claims are checked on the simulation.

    \b
    esker bench paper --extents-only
    esker bench paper --figure 2,3 --plots plots
    esker bench paper --json > paper.json
    """
    numbers = numbers_of(figure, "figure")
    outputs = Outputs(STDOUT if json else None, plots, markdown and not json, quiet, context.obj or Interrupts())
    return functools.partial(_paper, numbers, outputs, extents_only=extents_only, quick=quick, dry_run=dry_run)


def _paper(
    numbers: tuple[int, ...], outputs: Outputs, *, extents_only: bool, quick: bool, dry_run: bool = False
) -> None:
    from esker.bench.paper.claims import check_claims
    from esker.bench.paper.figures import FIGURES, Extent, check_figures, make_figure
    from esker.bench.paper.series import Series
    from esker.bench.tables import print_section

    outputs.check()
    wanted = numbers or tuple(FIGURES)
    check_figures(wanted)
    if dry_run:
        words = "from simulated extents" if extents_only else "from simulated extents and operators"
        print(f"would make figures {', '.join(map(str, wanted))} {words}, and check the claims")
        return
    extent = Extent.quick() if quick else Extent()
    console = _console()
    with outputs.status() as status:
        series = Series(
            operators=not extents_only,
            progress=lambda line: status.update(line) if status is not None else None,
            check=outputs.interrupts.cancellation.check,
        )
        figures = []
        for number in wanted:
            figures.append(make_figure(number, series, extent))
            if outputs.tables:
                print_section(console, figures[-1].table())
        claims = check_claims(series)
    if outputs.tables:
        _print_claims(console, claims)
    elif outputs.markdown:
        print(_markdown(figures, claims))
    else:
        document = {"figures": {str(figure.number): figure.to_json() for figure in figures}, "claims": claims}
        sys.stdout.write(json_.dumps(document, indent=1) + "\n")
    _write_plots(figures, outputs)


def _markdown(figures: list[Figure], claims: Mapping[str, Mapping[str, Any]]) -> str:
    from esker.bench.tables import section_markdown

    lines = [BEGIN, "", "### Claims", "", "| claim | verdict | in another reading |", "| --- | --- | --- |"]
    for name, claim in claims.items():
        readings = "; ".join(f"{each['verdict']} if {each['reading']}" for each in claim.get("readings", ()))
        readings = readings or str(claim.get("note", ""))
        lines.append(f"| ({name}) {claim['claim']} | **{claim['verdict']}** | {readings} |")
    even = claims["g"]["break_even"]
    lines += ["", f"Break-even of (g): {even['two_levels']} of the disk's rate against a Grace join of two levels, "]
    lines[-1] += f"{even['one_level']} against one of one level."
    lines.append("")
    for figure in figures:
        lines += section_markdown(figure.table())
    return "\n".join([*lines, END])


def _write_plots(figures: list[Figure], outputs: Outputs) -> None:
    from pathlib import Path

    from esker.bench.plots import write_plots

    if outputs.plots is not None:
        write_plots([figure.drawing() for figure in figures], Path(outputs.plots))


def _print_claims(console: Console, claims: Mapping[str, Mapping[str, Any]]) -> None:
    console.print("Claims", style="bold")
    for name, claim in claims.items():
        console.print(f"  ({name}) {claim['verdict']}: {claim['claim']}", markup=False, highlight=False)
        for reading in claim.get("readings", ()):
            console.print(f"       {reading['verdict']} if {reading['reading']}", markup=False, highlight=False)
        if "note" in claim:
            console.print(f"       {claim['note']}", markup=False, highlight=False)


def _console() -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
