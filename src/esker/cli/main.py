"""The command `esker`: commands, and how each of them ends.

Command modules are light: what they need of Arrow and the engine is imported when they run, so that `esker --help`
answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import esker
from esker.cli.bench import bench
from esker.cli.bench_paper import paper
from esker.cli.cluster import cluster, node
from esker.cli.demo import demo
from esker.cli.doctor import doctor
from esker.cli.explain import explain
from esker.cli.find import find
from esker.cli.freeze import freeze
from esker.cli.index import index
from esker.cli.interrupts import Interrupts
from esker.cli.join import join
from esker.cli.outcome import DONE, EXIT_CODES, report_error
from esker.cli.run import run
from esker.cli.shuffle import shuffle
from esker.cli.simulate import simulate
from esker.cli.sqlite import sqlite
from esker.cli.thaw import thaw
from esker.cli.ui import ui

app = typer.Typer(
    name="esker",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Exit codes: {', '.join(f'{code} {words}' for code, words in EXIT_CODES.items())}.",
)
for command in (freeze, find, join, shuffle, explain, sqlite, ui, demo, doctor):
    app.command()(command)
# What stands behind the script is the script's.
app.command(context_settings={"allow_interspersed_args": False})(run)
bench.command()(paper)
app.add_typer(bench)
app.add_typer(index)
app.add_typer(thaw)
app.add_typer(simulate)
app.add_typer(cluster)
app.add_typer(node)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"esker {esker.__version__}")
        raise typer.Exit


@app.callback()
def esker_(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find, join and regroup data bigger than memory and colder than disk: keys first, payload last."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see esker.cli.outcome)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with Interrupts() as interrupts:
        code = _run(words, interrupts)
    # A signal that came too late to stop the work still tells the shell that it came.
    return code if interrupts.exit_code is None else interrupts.exit_code


def _run(words: list[str], interrupts: Interrupts) -> int:
    try:
        # An exit code after --help and the like, else what the command is to do.
        parsed = app(args=words, standalone_mode=False, prog_name="esker", obj=interrupts)
        ended = parsed() if callable(parsed) else parsed
        sys.stdout.flush()
        return ended if isinstance(ended, int) else DONE
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        return report_error(error, debug="--debug" in words)


if __name__ == "__main__":
    sys.exit(main())
