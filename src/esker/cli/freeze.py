"""`esker freeze`: hot keys in a folder, cold payload on a tier."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from esker.cli.arguments import Source, index_of, names_of
from esker.cli.options import command
from esker.cli.session import Session
from esker.errors import OptionError


@command
def freeze(
    session: Session,
    source: Source,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The new folder, for example flights.esker.")],
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="COLUMN", help="Column to decide on in joins. Repeatable.")
    ] = None,
    index: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="COLUMN", help="Bitmap index: month, or delay:bins=0,15,60. Repeatable."),
    ] = None,
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Of index vectors; auto chooses for each.")] = "auto",
    profile: Annotated[str, typer.Option(metavar="NAME", help="Of auto: speed, balanced or size.")] = "balanced",
    tier: Annotated[
        str | None, typer.Option(metavar="URI", help="Where the payload goes: a folder, disk:/path, tape:/folder?…")
    ] = None,
    order_by: Annotated[
        list[str] | None, typer.Option("--order-by", metavar="COLUMN", help="Sort by this first. Repeatable.")
    ] = None,
    split_by: Annotated[
        str | None, typer.Option("--split-by", metavar="COLUMN", help="A new extent where its value changes.")
    ] = None,
    extent_rows: Annotated[int | None, typer.Option(metavar="N", min=1, help="Rows of an extent.")] = None,
) -> None:
    """Split SOURCE into hot keys and a cold payload.

    Done once, ahead of every query. TARGET is a folder; the payload goes to the tier.

    \b
    esker freeze flights.parquet flights.esker --key tailnum --index month --index dep_delay:bins=0,15,60
    """
    import esker

    arguments: dict[str, Any] = {
        "keys": names_of(key),
        "index": index_of(index),
        "tier": tier,
        "order_by": names_of(order_by),
        "split_by": split_by,
    }
    if not arguments["keys"] and not arguments["index"]:
        raise OptionError("name the hot columns: --key tailnum, --index month; without them every query reads all")
    rows = session.open(source)
    if session.dry_run:
        from esker.collection.freeze import plan_freeze

        session.show_plan(plan_freeze(rows, target, **arguments))
        return
    with session.progress() as options:
        report = esker.freeze(
            rows, target, **arguments, encoding=encoding, profile=profile, extent_rows=extent_rows, **options
        )
    if session.json:
        session.document({"target": target, "report": report.to_json()})
    else:
        print(f"froze {target}: {report}")
