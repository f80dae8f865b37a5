"""Options that every command has, written once: a command takes a Session, its flags are added to its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from esker.cli.interrupts import Interrupts
from esker.cli.session import Session
from esker.errors import OptionError


@dataclass(frozen=True)
class RunOptions:
    """What every command can be told; the words are those of `Dataset.with_options`."""

    null: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="In CSV files this is null, for example NA. Repeatable.")
    ] = None
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Memory budget: 512MiB, 2GB.")] = None
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="Worker threads (default: all cores).")] = None
    spill_limit: Annotated[str | None, typer.Option(metavar="SIZE", help="The most that may be spilled to disk.")] = (
        None
    )
    spill_folder: Annotated[str | None, typer.Option(metavar="FOLDER", help="Where rows are spilled to.")] = None
    max_cost: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=N",
            help="Refuse a dearer plan: seconds=60, bytes=10GB, requests=, mounts=, money=. Repeatable.",
        ),
    ] = None
    deadline: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long reading the payload may take: 600, 90min, 12h, 2d."),
    ] = None
    cache: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Keep what is fetched there, for a run that goes on later.")
    ] = None
    cache_limit: Annotated[str | None, typer.Option(metavar="SIZE", help="The most that is kept (10GiB).")] = None
    log: Annotated[str | None, typer.Option(metavar="FILE", help="Append the query's events as JSON lines.")] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and its cost; read and write no data.")] = (
        False
    )
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document: plan, cost, rows.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before what costs money or deletes rows.")] = (
        False
    )
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False


def command(function: Callable[..., int | None]) -> Callable[..., Callable[[], int | None]]:
    """Give `function(session, ...)` the flags of RunOptions, and make the session of what they say.

    What it returns, if anything, is the exit code. What the parser calls returns the work and does none: the parser has
    its own way with signals and broken pipes.
    """

    @functools.wraps(function)
    def run(context: typer.Context, **arguments: Any) -> Callable[[], int | None]:
        run_options = RunOptions(**{field.name: arguments.pop(field.name) for field in fields(RunOptions)})
        return functools.partial(function, _session(run_options, context.obj), **arguments)

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    hints = get_type_hints(RunOptions, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(RunOptions)
    ]
    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [first, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *shared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions take attributes
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _session(chosen: RunOptions, interrupts: Interrupts | None) -> Session:
    query: dict[str, Any] = {
        "memory": chosen.memory,
        "threads": chosen.threads,
        "spill_limit": chosen.spill_limit,
        "spill_folder": chosen.spill_folder,
        "max_cost": parse_max_cost(chosen.max_cost or []),
        "deadline": chosen.deadline,
        "cache": chosen.cache,
        "cache_limit": chosen.cache_limit,
        "log": chosen.log,
    }
    return Session(
        query={name: value for name, value in query.items() if value},
        null=chosen.null or (),
        json=chosen.json,
        quiet=chosen.quiet,
        dry_run=chosen.dry_run,
        debug=chosen.debug,
        yes=chosen.yes,
        interrupts=interrupts or Interrupts(),
    )


def parse_max_cost(words: list[str]) -> dict[str, str]:
    """Read `seconds=60,bytes=10GB`, in one word or several.

    >>> parse_max_cost(["seconds=60,bytes=10GB", "mounts=2"])
    {'seconds': '60', 'bytes': '10GB', 'mounts': '2'}
    """
    return dict(name_and_value(part, "max-cost") for word in words for part in split_words(word))


def split_words(text: str | None) -> list[str]:
    """Split at commas, and drop spaces around.

    >>> split_words("origin, dest"), split_words(None)
    (['origin', 'dest'], [])
    """
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def name_and_value(text: str, option: str) -> tuple[str, str]:
    """Read `name=value`; OptionError says how it is written."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise OptionError(f"--{option} {text!r}: write name=value")
    return name, value
