"""`esker index`: build, ask and change a bitmap index."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from esker.cli.arguments import Format, Output, Source, index_of, names_of
from esker.cli.deliver import deliver
from esker.cli.options import command
from esker.cli.session import Session
from esker.errors import OptionError

index = typer.Typer(
    name="index", no_args_is_help=True, rich_markup_mode=None, help="Build, ask and change a bitmap index."
)

Folder = Annotated[str, typer.Argument(metavar="INDEX", help="The index's folder, for example census.index.")]
Predicate = Annotated[
    str, typer.Argument(metavar="PREDICATE", help='SQL, or ranges of vector numbers: "R:[2,3]&[4,6]".')
]
Columns = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Only these columns. Repeatable.")]


@index.command()
@command
def build(
    session: Session,
    source: Source,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The new folder, for example census.index.")],
    column: Annotated[
        list[str],
        typer.Option(
            "--column",
            metavar="NAME[:KIND]",
            help="age, age:range, :interval, :bit_sliced, :bins=18,21,66, :quantiles=100, :widths=20,"
            " born:time_quantum=day. Repeatable.",
        ),
    ],
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Of the vectors; auto chooses for each.")] = "auto",
    profile: Annotated[str, typer.Option(metavar="NAME", help="Of auto: speed, balanced or size.")] = "balanced",
    rows: Annotated[
        str, typer.Option(metavar="FORMAT", help="How rows are kept: arrow (mapped, fast) or parquet (small).")
    ] = "arrow",
    store: Annotated[
        list[str] | None, typer.Option("--store", metavar="A,B", help="Keep only these and the indexed columns.")
    ] = None,
) -> None:
    """Index columns of SOURCE in a new folder, its rows beside it.

    \b
    esker index build census.parquet census.index --column salary:bit_sliced --column age --column city
    """
    from esker.collection.bitmap_index import build_index

    data = session.open(source)
    if session.dry_run:
        session.show_plan(data.explain(), target=target)
        return
    with session.progress() as options:
        built = build_index(
            data,
            target,
            index_of(column),
            encoding=encoding,
            profile=profile,
            rows=rows,
            store=names_of(store) or None,
            **options,
        )
    with built:
        _report(session, {"target": target, **built.statistics()}, f"built {target}: {_sizes(built)}")


@index.command()
@command
def append(session: Session, folder: Folder, source: Source) -> None:
    """Add the rows of SOURCE behind those of INDEX.

    \b
    esker index append census.index 2024.parquet
    """
    data = session.open(source)
    with _opened(session, folder) as opened, session.progress() as options:
        added = opened.append(data, **options)
        _report(session, {"appended": added, **opened.statistics()}, f"appended {added:,} rows: {_sizes(opened)}")


@index.command()
@command
def delete(session: Session, folder: Folder, predicate: Predicate) -> None:
    """Delete the rows for which PREDICATE is true; `compact` gives their room back.

    \b
    esker index delete census.index "age < 18"
    """
    with _opened(session, folder) as opened:
        if session.dry_run:
            session.show_plan(opened.explain(predicate, run=True))
            return
        session.confirm(f"deleting {opened.count(predicate):,} of {len(opened):,} rows")
        deleted = opened.delete(predicate)
        _report(session, {"deleted": deleted, "rows": len(opened)}, f"deleted {deleted:,} rows, {len(opened):,} left")


@index.command()
@command
def compact(session: Session, folder: Folder) -> None:
    """Write the rows that are left as one block; row ids change.

    \b
    esker index compact census.index
    """
    with _opened(session, folder) as opened, session.progress() as options:
        opened.compact(**options)
        _report(session, opened.statistics(), f"compacted {folder}: {_sizes(opened)}")


@index.command()
@command
def query(
    session: Session,
    folder: Folder,
    predicate: Predicate,
    columns: Columns = None,
    count: Annotated[bool, typer.Option("--count", help="Only count the rows.")] = False,
    top: Annotated[str | None, typer.Option(metavar="COLUMN=N", help="The N most frequent values of a column.")] = None,
    output: Output = None,
    format: Format = "auto",
) -> None:
    """Find the rows for which PREDICATE is true, or count them.

    \b
    esker index query census.index "salary > 100000 AND age < 50" --columns name
    esker index query census.index "city = 'Tacoma'" --top age=5
    """
    with _opened(session, folder) as opened:
        if count and not session.dry_run:
            found = opened.count(predicate)
            _report(session, {"count": found}, str(found))
        elif top is not None and not session.dry_run:
            name, _, number = top.partition("=")
            if not number.isdigit():
                raise OptionError(f"--top {top!r}: write COLUMN=N")
            best = opened.top(name, int(number), predicate)
            rows = [{"value": value, "rows": rows} for value, rows in best]
            _report(session, {"top": rows}, "\n".join(f"{row['rows']:>12,}  {row['value']}" for row in rows))
        else:
            found_rows = opened.dataset().filter_by(opened.bound(predicate))
            chosen = found_rows.select(names_of(columns)) if columns else found_rows
            deliver(session, chosen, output, format)


@index.command()
@command
def explain(session: Session, folder: Folder, predicate: Predicate, columns: Columns = None) -> None:
    """Show which vectors answer PREDICATE, in what order, and what a scan would read instead.

    \b
    esker index explain census.index "salary > 100000 AND age < 50"
    """
    with _opened(session, folder) as opened:
        session.show_plan(opened.explain(predicate, names_of(columns) or None, run=not session.dry_run))


@index.command("stats")
@index.command("statistics", hidden=True)
@command
def statistics(session: Session, folder: Folder) -> None:
    """Say what INDEX holds: rows, blocks, vectors, bytes and encodings by column.

    \b
    esker index stats census.index
    """
    with _opened(session, folder) as opened:
        found = opened.statistics()
    if session.json:
        session.document(found)
        return
    print(f"{found['rows']:,} rows ({found['deleted']:,} deleted) in {found['blocks']} blocks")
    print(f"rows: {found['row_format']}, {found['row_bytes']:,} bytes; index: {found['index_bytes']:,} bytes")
    for name, one in found["columns"].items():
        used = ", ".join(f"{count:,} {encoding}" for encoding, count in sorted(one["encodings"].items()))
        print(f"  {name}: {one['kind']}, {one['vectors']:,} vectors, {one['bytes']:,} bytes ({used})")


def _opened(session: Session, folder: str) -> Any:
    from esker.collection.bitmap_index import open_index

    return open_index(folder, **session.options())


def _sizes(opened: Any) -> str:
    from esker.core.byte_size import format_bytes

    found = opened.statistics()
    return (
        f"{found['rows']:,} rows of {format_bytes(found['row_bytes'])}, {found['vectors']:,} vectors of"
        f" {format_bytes(found['index_bytes'])}"
    )


def _report(session: Session, document: dict[str, Any], text: str) -> None:
    if session.json:
        session.document(document)
    else:
        print(text)
        sys.stdout.flush()
