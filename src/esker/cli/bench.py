"""`esker bench`: what Esker measures of itself, on the machine it runs on."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from esker.cli.arguments import Debug, DryRun, Quiet
from esker.cli.interrupts import Interrupts
from esker.cli.options import split_words
from esker.core.byte_size import parse_bytes
from esker.errors import InputFileError, OptionError

if TYPE_CHECKING:
    from rich.console import Console

    from esker.bench.bench import Asked
    from esker.bench.document import Evaluation, Section

# A table that is not read on a terminal is not folded.
PLAIN_WIDTH = 240
STDOUT = "-"

bench = typer.Typer(name="bench", no_args_is_help=True, rich_markup_mode=None)


@bench.callback()
def bench_() -> None:
    """Measure Esker on this machine."""


@dataclass(frozen=True)
class Outputs:
    """Where results go."""

    json: str | None
    plots: str | None
    markdown: bool
    quiet: bool
    interrupts: Interrupts

    def check(self) -> None:
        """Refuse, before hours of measuring, what could not be written after it."""
        if self.json not in (None, STDOUT) and not Path(str(self.json)).absolute().parent.is_dir():
            raise OptionError(f"--json {self.json}: there is no folder {Path(str(self.json)).parent}")
        if self.plots is not None and Path(self.plots).exists() and not Path(self.plots).is_dir():
            raise OptionError(f"--plots {self.plots} is a file; name a folder")

    @property
    def tables(self) -> bool:
        """Whether stdout has the tables, and nothing else has it."""
        return not self.markdown and self.json != STDOUT

    def status(self) -> AbstractContextManager[Any]:
        """A line of progress on stderr, where that is a terminal."""
        if self.quiet or not sys.stderr.isatty():
            return nullcontext()
        from rich.console import Console

        return Console(file=sys.stderr).status("measuring")


@bench.command()
def shuffle(
    context: typer.Context,
    rows: Annotated[int | None, typer.Option(metavar="N", min=1, help="Tuples of a cell (instead of --bytes).")] = None,
    size: Annotated[
        str | None, typer.Option("--bytes", metavar="SIZE", help="Tuples of a cell, in bytes (default: 64MiB).")
    ] = None,
    threads: Annotated[
        str | None, typer.Option(metavar="N,...", help="Numbers of threads (default: 1, and 2 where there are).")
    ] = None,
    partitions: Annotated[
        str | None, typer.Option(metavar="N,...", help="Numbers of partitions (default: 1,4,32,256,1024,4096).")
    ] = None,
    widths: Annotated[
        str | None, typer.Option(metavar="N,...", help="Bytes of a tuple, var for text (default: 4,16,100,var).")
    ] = None,
    strategy: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this strategy. Repeatable.")] = None,
    section: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this section: generation, write, throughput, scaling, memory, optimisations, complexity,"
            " latency, cold. Repeatable.",
        ),
    ] = None,
    rounds: Annotated[int | None, typer.Option(metavar="N", min=1, help="Rounds that must count.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything: a few minutes.")] = False,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write one JSON document; - is stdout.")
    ] = None,
    plots: Annotated[str | None, typer.Option(metavar="FOLDER", help="Write one SVG file a section.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the block that docs/shuffle.md has.")] = False,
    read: Annotated[
        str | None, typer.Option(metavar="FILE", help="Show an earlier --json document; measure nothing.")
    ] = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Measure the shuffle: every strategy, against memcpy in the same round.

    Sections: generation, write, throughput, scaling, memory, optimisations, complexity, latency, cold. Leave the
    machine alone meanwhile: a round that was disturbed is thrown away.

    \b
    esker bench shuffle --quick
    esker bench shuffle --json figures.json --plots plots
    esker bench shuffle --section throughput --widths 16 --partitions 256 --strategy hybrid
    esker bench shuffle --read figures.json --markdown
    """
    outputs = Outputs(json, plots, markdown, quiet, context.obj or Interrupts())
    asked: dict[str, Any] = {
        "rows": rows,
        "cell_bytes": None if size is None else parse_bytes(size, "bytes"),
        "threads": numbers_of(threads, "threads"),
        "partitions": numbers_of(partitions, "partitions"),
        "strategies": tuple(strategy or ()),
        "rounds": rounds,
    }
    given = {name: value for name, value in asked.items() if value}
    if read is not None:
        return functools.partial(_show_earlier, Path(read), outputs)
    return functools.partial(
        _measure, given, split_words(widths), tuple(section or ()), quick, outputs, dry_run=dry_run
    )


def numbers_of(text: str | None, option: str) -> tuple[int, ...]:
    """Read `1,2,4`; OptionError for what is no number above 0.

    >>> numbers_of("1, 256", "partitions")
    (1, 256)
    """
    words = split_words(text)
    if not all(word.isdigit() and int(word) > 0 for word in words):
        raise OptionError(f"--{option} {text!r}: write numbers from 1 on, like 1,2,4")
    return tuple(int(word) for word in words)


def _measure(
    given: dict[str, Any],
    widths: list[str],
    sections: tuple[str, ...],
    quick: bool,
    outputs: Outputs,
    *,
    dry_run: bool = False,
) -> None:
    from esker.bench.bench import Asked
    from esker.bench.evaluate import evaluate
    from esker.bench.sections import SECTIONS
    from esker.bench.tables import machine_words, print_section
    from esker.bench.tuples import Width

    outputs.check()
    asked: Asked = replace(Asked.usual(quick=quick), **given)
    if widths:
        asked = replace(asked, widths=tuple(map(Width.of, widths)))
    for name in sections:
        SECTIONS[name]  # an unknown name is an error before the machine is described
    if dry_run:
        document = {"sections": list(sections or SECTIONS), "asked": asked.to_json()}
        print(json.dumps(document, indent=1))
        return
    console = _console()

    def done(section: Section) -> None:
        if outputs.tables:
            print_section(console, section)

    if outputs.tables:
        from esker.bench.machine import describe_machine

        console.print(machine_words(describe_machine()), markup=False, highlight=False)
    with outputs.status() as status:
        evaluation = evaluate(
            asked,
            sections,
            progress=lambda line: status.update(line) if status is not None else None,
            check=outputs.interrupts.cancellation.check,
            done=done,
        )
    _write(evaluation, outputs)


def _show_earlier(path: Path, outputs: Outputs) -> None:
    from esker.bench.document import Evaluation
    from esker.bench.tables import machine_words, print_section

    outputs.check()
    try:
        evaluation = Evaluation.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputFileError(f"--read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputFileError(f"--read {path}: {error}") from error
    if outputs.tables:
        console = _console()
        console.print(machine_words(evaluation.machine), markup=False, highlight=False)
        for section in evaluation.sections:
            print_section(console, section)
    _write(evaluation, outputs)


def _write(evaluation: Evaluation, outputs: Outputs) -> None:
    from esker.bench.plots import write_plots
    from esker.bench.tables import markdown
    from esker.core.file_system import LOCAL

    if outputs.markdown:
        print(markdown(evaluation))
    if outputs.json is not None:
        text = json.dumps(evaluation.to_json(), indent=1) + "\n"
        if outputs.json == STDOUT:
            sys.stdout.write(text)
        else:
            with LOCAL.write_aside(Path(outputs.json), overwrite=True) as file:
                file.write(text.encode())
    if outputs.plots is not None:
        write_plots(evaluation.sections, Path(outputs.plots))


def _console() -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
