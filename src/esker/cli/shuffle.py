"""`esker shuffle`: rows regrouped by key, one Parquet file a partition."""

from __future__ import annotations

from typing import Annotated

import typer

from esker.cli.arguments import Source, names_of
from esker.cli.options import command
from esker.cli.session import Session
from esker.errors import OptionError


@command
def shuffle(
    session: Session,
    source: Source,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FOLDER", help="The new folder.")],
    by: Annotated[list[str] | None, typer.Option("--by", metavar="COLUMN", help="Key column. Repeatable.")] = None,
    partitions: Annotated[int, typer.Option(metavar="N", help="How many partitions.")] = 64,
    function: Annotated[
        str, typer.Option(metavar="NAME", help="What says where a key goes: hash, range, modulo or id.")
    ] = "hash",
    strategy: Annotated[str, typer.Option(metavar="NAME", help="How the kernel writes; auto chooses.")] = "auto",
    where: Annotated[str | None, typer.Option(metavar="PREDICATE", help="Keep only these rows.")] = None,
) -> None:
    """Regroup SOURCE by key, one file a partition.

    Rows with equal keys are in one file, in the order they came; memory stays within --memory.

    \b
    esker shuffle events.parquet --by user --partitions 64 --output by-user --memory 512MiB
    esker shuffle events.parquet --by time --function range --partitions 64 --output by-time
    """
    if not names_of(by):
        raise OptionError("name the key columns: --by user")
    rows = session.open(source)
    if where is not None:
        rows = rows.filter(where)
    regrouped = rows.shuffle(names_of(by), partitions, strategy=strategy, function=function)
    if session.dry_run:
        session.show_plan(regrouped.explain(), output=output)
        return
    with session.progress() as options:
        counts = regrouped.write_partitions(output, **options)
    if session.json:
        plan = regrouped.explain().to_json()
        session.document({"output": output, "row_count": sum(counts), "partition_rows": counts, "plan": plan})
    else:
        print(f"wrote {output}: {sum(counts):,} rows in {len(counts):,} partitions, {filled(counts)}")


def filled(counts: list[int]) -> str:
    """How even the partitions are.

    >>> filled([3, 0, 5])
    '2 of them with rows, the largest with 5'
    """
    return f"{sum(count > 0 for count in counts):,} of them with rows, the largest with {max(counts, default=0):,}"
