"""`esker thaw`: payload brought near ahead of its use."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from esker.cli.arguments import Source, names_of
from esker.cli.options import command
from esker.cli.session import Session
from esker.errors import OptionError

Predicate = Annotated[str | None, typer.Argument(metavar="[PREDICATE]", help="Only what these rows need (SQL).")]
Columns = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Only these columns. Repeatable.")]


@command
def thaw(session: Session, source: Source, predicate: Predicate = None, columns: Columns = None) -> None:
    """Fetch payload into --cache, restoring what is archived first.

    The same find or join with the same --cache reads nothing of it again. --dry-run shows objects, bytes, hours, money.

    \b
    esker thaw cold.esker "month = 6" --cache fetched --deadline 12h --max-cost money=5
    """
    wanted = session.open(source)
    if predicate is not None:
        wanted = wanted.filter(predicate)
    if columns:
        wanted = wanted.select(names_of(columns))
    if session.dry_run:
        session.show_plan(wanted.explain())
        return
    if "cache" not in session.query:
        raise OptionError("esker thaw keeps what it fetches: say where, with --cache FOLDER")
    with session.progress() as options, closing(wanted.execute(**options)) as result:
        rows = sum(batch.num_rows for batch in result)
    if session.json:
        session.document({"row_count": rows, "plan": result.explanation.to_json()})
    session.ended(result.explanation, rows, "thawed")
