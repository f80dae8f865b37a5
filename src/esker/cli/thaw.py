"""`esker thaw`: payload brought near ahead of its use."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from esker.cli.arguments import Source, names_of
from esker.cli.options import command
from esker.cli.session import Session
from esker.errors import OptionError

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset
    from esker.collection.thaw import ExtentState

Predicate = Annotated[str | None, typer.Argument(metavar="[PREDICATE]", help="Only what these rows need (SQL).")]
Columns = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Only these columns. Repeatable.")]


class _Thaw(TyperGroup):
    """`esker thaw SOURCE ...` is `esker thaw resume SOURCE ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["resume", *args]
        return super().parse_args(ctx, args)


thaw = typer.Typer(
    name="thaw",
    cls=_Thaw,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Bring payload near ahead of its use; without a command: resume, which takes --cache FOLDER, --deadline TIME"
    " and --max-cost WHAT=N.",
)


@thaw.command()
@command
def start(session: Session, source: Source, predicate: Predicate = None, columns: Columns = None) -> None:
    """Ask an archive for what these rows need, and return at once; --max-cost bounds the price.

    What was asked for is not asked for again. --dry-run only says what it would cost.

    \b
    esker thaw start cold.esker "month = 6" --max-cost money=5
    """
    wanted = _wanted(session, source, predicate, columns)
    if session.dry_run:
        session.show_plan(wanted.explain())
        return
    from esker.collection.thaw import start_thaw

    _confirm(session, wanted)
    states, cost = start_thaw(wanted.with_options(**session.options()))
    _show_states(session, states, cost=cost.to_json())


@thaw.command()
@command
def status(session: Session, source: Source, predicate: Predicate = None, columns: Columns = None) -> None:
    """Say how far each object is that these rows need: cold, recalling or ready.

    \b
    esker thaw status cold.esker "month = 6"
    """
    from esker.collection.thaw import thaw_states

    _show_states(session, thaw_states(_wanted(session, source, predicate, columns)))


@thaw.command()
@command
def resume(session: Session, source: Source, predicate: Predicate = None, columns: Columns = None) -> None:
    """Fetch payload into --cache, restoring what is archived first; goes on where an earlier run ended.

    The same find or join with the same --cache reads nothing of it again. --dry-run shows objects, bytes, hours, money.

    \b
    esker thaw resume cold.esker "month = 6" --cache fetched --deadline 12h --max-cost money=5
    """
    wanted = _wanted(session, source, predicate, columns)
    if session.dry_run:
        session.show_plan(wanted.explain())
        return
    if "cache" not in session.query:
        raise OptionError("esker thaw keeps what it fetches: say where, with --cache FOLDER")
    _confirm(session, wanted)
    with session.progress() as options, closing(wanted.execute(**options)) as result:
        rows = sum(batch.num_rows for batch in result)
    if session.json:
        session.document({"row_count": rows, "plan": result.explanation.to_json()})
    session.ended(result.explanation, rows, "thawed")


def _confirm(session: Session, wanted: Dataset) -> None:
    """Say what restoring will cost, before it does."""
    from esker.collection.thaw import thaw_price

    cost = thaw_price(wanted)
    if cost.money:
        session.confirm(f"bringing this near costs {cost}")


def _wanted(session: Session, source: str, predicate: str | None, columns: list[str] | None) -> Dataset:
    wanted = session.open(source)
    if predicate is not None:
        wanted = wanted.filter(predicate)
    if columns:
        wanted = wanted.select(names_of(columns))
    return wanted


def _show_states(session: Session, states: Sequence[ExtentState], **more: Any) -> None:
    if session.json:
        session.document({"extents": [asdict(one) for one in states], **more})
        return
    from esker.core.byte_size import format_bytes

    for one in states:
        print(f"{one.state:<10} {format_bytes(one.bytes):>12}  {one.key}")
    ready = sum(one.state == "ready" for one in states)
    session.note(f"{ready:,} of {len(states):,} objects are ready")
