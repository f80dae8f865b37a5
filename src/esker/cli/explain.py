"""`esker explain`: the plan, the bytes, the seconds, the price, before anything is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from esker.cli.arguments import Algorithm, How, On, Source, names_of
from esker.cli.find import Columns
from esker.cli.join import RightWhere, joined_dataset
from esker.cli.options import command
from esker.cli.session import Session
from esker.errors import OptionError

PlanFormat = Annotated[str, typer.Option("--format", metavar="FORMAT", help="text, svg, mermaid or dot (Graphviz).")]


@command
def explain(
    session: Session,
    source: Source,
    predicate: Annotated[str | None, typer.Argument(metavar="[PREDICATE]", help="SQL, as for find.")] = None,
    columns: Columns = None,
    join: Annotated[str | None, typer.Option("--join", metavar="RIGHT", help="Plan a join with these files.")] = None,
    on: On = None,
    how: How = "inner",
    algorithm: Algorithm = "auto",
    right_where: RightWhere = None,
    format: PlanFormat = "text",
) -> None:
    """Show the plan of a find or a join, and its cost; as text or as a picture.

    \b
    esker explain flights.esker "month = 6"
    esker explain flights.esker --join weather.csv --on origin --on time_hour
    esker explain flights.esker "month = 6" --format svg > plan.svg
    """
    if join is not None:
        rows = joined_dataset(session, source, join, on, how, algorithm, predicate, right_where)
    elif on or right_where is not None:
        raise OptionError("--on and --right-where go with --join RIGHT")
    else:
        rows = session.open(source)
        rows = rows.filter(predicate) if predicate is not None else rows
    rows = rows.select(names_of(columns)) if columns else rows
    replace(session, dry_run=True).show_plan(rows.explain(), format)
