"""`esker find`: predicate -> row set -> thaw plan -> rows."""

from __future__ import annotations

from typing import Annotated

import typer

from esker.cli.arguments import Format, Output, Source, names_of
from esker.cli.deliver import deliver
from esker.cli.options import command
from esker.cli.session import Session

Predicate = Annotated[str, typer.Argument(metavar="PREDICATE", help="SQL: \"month IN (6, 7) AND origin = 'JFK'\".")]
Columns = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Only these columns. Repeatable.")]


@command
def find(
    session: Session,
    source: Source,
    predicate: Predicate,
    columns: Columns = None,
    output: Output = None,
    format: Format = "auto",
) -> None:
    """Find the rows for which PREDICATE is true.

    The index and the hot columns decide, then as little of the payload is read as they allow.

    \b
    esker find flights.esker "month = 6 AND dep_delay > 120" --output late.parquet
    """
    found = session.open(source).filter(predicate)
    deliver(session, found.select(names_of(columns)) if columns else found, output, format)
