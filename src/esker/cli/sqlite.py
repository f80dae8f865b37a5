"""`esker sqlite`: a SQLite shell, or one statement, over virtual tables whose conditions the index answers."""

from __future__ import annotations

import io
import re
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from esker.cli.options import command
from esker.cli.session import Session
from esker.errors import InputError, OptionError

if TYPE_CHECKING:
    import apsw

    from esker.core.explanation import Explanation

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="[NAME=]SOURCE...", help="Frozen folders, indexes or files; each is a table named after it."
    ),
]
Execute = Annotated[
    list[str] | None,
    typer.Option("--execute", "-e", metavar="SQL", help="Run this and end, instead of a shell. Repeatable."),
]


@command
def sqlite(session: Session, sources: Sources, execute: Execute = None) -> None:
    """Query with SQLite; conditions, limits and join keys are answered by the index.

    \b
    esker sqlite flights.esker
    esker sqlite census=people.index --execute "SELECT * FROM census WHERE salary > 100000 AND age < 50"
    """
    import apsw
    from apsw.shell import Shell

    from esker.clients.sqlite import register

    connection = apsw.Connection(":memory:")
    try:
        names = [_register(session, connection, register, word) for word in sources]
        # What a statement of ours fails with is said once, by us.
        errors = sys.stderr if execute is None else io.StringIO()
        shell: Any = Shell(args=[], db=connection, stdout=sys.stdout, stderr=errors)
        if session.json:
            shell.process_complete_line(".mode json")
        if execute is None and not session.dry_run:
            _interact(shell, names)
            return
        for statement in execute or []:
            _run(shell, f"EXPLAIN QUERY PLAN {statement}" if session.dry_run else statement)
    finally:
        connection.close()


def table_name(source: str) -> tuple[str, str]:
    """What a table is called, and where its rows are.

    >>> table_name("census=people.index"), table_name("data/flights 2013.esker")
    (('census', 'people.index'), ('flights_2013', 'data/flights 2013.esker'))
    """
    named = re.fullmatch(r"([A-Za-z_]\w*)=(.+)", source)
    if named is not None:
        return named[1], named[2]
    name = re.sub(r"\W+", "_", PurePath(source.rstrip("/")).name.partition(".")[0]).strip("_")
    if not name:
        raise OptionError(f"{source!r} gives no name to a table; write name={source}")
    return name if not name[0].isdigit() else f"t{name}", source


def _register(session: Session, connection: apsw.Connection, register: Any, word: str) -> str:
    name, source = table_name(word)

    def told(plan: Explanation) -> None:
        fetched, given = plan.detail.get("rows_fetched", 0), plan.rows or 0
        predicate = plan.detail.get("predicate", "every row")
        session.note(f"{name}: {predicate}: fetched {fetched:,} rows, gave {given:,}")

    register(connection, name, session.open(source), on_scan=told)
    return name


def _interact(shell: Any, names: list[str]) -> None:
    try:
        shell.cmdloop(f"Tables: {', '.join(names)}. Enter .help for help, .exit to leave.\n")
    except SystemExit as left:
        # `.exit 3` is the user's own code; plain `.exit` is an end like any.
        if left.code:
            raise


def _run(shell: Any, statement: str) -> None:
    """Run one statement; what SQLite refuses is the caller's error, ours stay what they are."""
    import apsw

    if not statement.strip():
        raise OptionError("--execute is empty; write a statement")
    try:
        shell.process_complete_line(statement if statement.rstrip().endswith(";") else statement + ";")
    except apsw.Error as error:
        raise InputError(f"SQLite: {error}") from error
