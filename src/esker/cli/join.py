"""`esker join`: keys are matched first, payload is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from esker.cli.arguments import Algorithm, Format, How, On, Output, key_pairs, names_of
from esker.cli.deliver import deliver
from esker.cli.options import command
from esker.cli.session import Session

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset

Left = Annotated[str, typer.Argument(metavar="LEFT", help="Files, or a frozen folder.")]
Right = Annotated[str, typer.Argument(metavar="RIGHT", help="Files, or a frozen folder.")]
LeftWhere = Annotated[str | None, typer.Option(metavar="PREDICATE", help="Keep only these rows of LEFT.")]
RightWhere = Annotated[str | None, typer.Option(metavar="PREDICATE", help="Keep only these rows of RIGHT.")]


@command
def join(
    session: Session,
    left: Left,
    right: Right,
    on: On = None,
    how: How = "inner",
    algorithm: Algorithm = "auto",
    left_where: LeftWhere = None,
    right_where: RightWhere = None,
    columns: Annotated[list[str] | None, typer.Option(metavar="A,B", help="Only these columns.")] = None,
    output: Output = None,
    format: Format = "auto",
) -> None:
    """Join LEFT with RIGHT on equal keys.

    Keys are matched first, payload is read once. The algorithm is chosen by cost; --dry-run shows all estimates.

    \b
    esker join flights.esker weather.csv --on origin --on time_hour --right-where "visib < 1" --output late.parquet
    """
    joined = joined_dataset(session, left, right, on, how, algorithm, left_where, right_where)
    deliver(session, joined.select(names_of(columns)) if columns else joined, output, format, verb="joined")


def joined_dataset(
    session: Session,
    left: str,
    right: str,
    on: list[str] | None,
    how: str,
    algorithm: str,
    left_where: str | None,
    right_where: str | None,
) -> Dataset:
    """The lazy join that the options ask for."""
    left_on, right_on = key_pairs(on)
    left_rows, right_rows = session.open(left), session.open(right)
    if left_where is not None:
        left_rows = left_rows.filter(left_where)
    if right_where is not None:
        right_rows = right_rows.filter(right_where)
    return left_rows.join(right_rows, left_on=left_on, right_on=right_on, how=how, algorithm=algorithm)
