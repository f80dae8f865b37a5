"""`esker shuffle`: rows regrouped by key, one Parquet file a partition, or a folder a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from esker.cli.arguments import Source, names_of
from esker.cli.options import command
from esker.cli.session import Session
from esker.errors import OptionError

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset


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
    hive: Annotated[
        bool,
        typer.Option("--hive", help="A folder a key: country=AT/part-00000.parquet, ..."),
    ] = False,
    keep_keys: Annotated[bool, typer.Option("--keep-keys", help="With --hive: key columns stay in the files.")] = False,
    file_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="A new file after about this size: 128MiB.")
    ] = None,
    rows_per_file: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="A new file after this many rows.")
    ] = None,
    compression: Annotated[str, typer.Option(metavar="NAME", help="zstd, snappy, lz4, gzip, brotli or none.")] = "zstd",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace FOLDER, if it holds nothing but Parquet files.")
    ] = False,
    where: Annotated[str | None, typer.Option(metavar="PREDICATE", help="Keep only these rows.")] = None,
) -> None:
    """Regroup SOURCE by key, one file a partition or one folder a key.

    Rows with equal keys are in one file or folder, in the order they came; memory stays within --memory.

    \b
    esker shuffle events.parquet --by user --partitions 64 --output by-user --memory 512MiB
    esker shuffle events.parquet --by time --function range --partitions 64 --output by-time
    esker shuffle events.parquet --by country --hive --file-bytes 128MiB --output by-country
    """
    if not names_of(by):
        raise OptionError("name the key columns: --by user")
    rows = session.open(source)
    if where is not None:
        rows = rows.filter(where)
    if keep_keys and not hive:
        raise OptionError("--keep-keys goes with --hive: files of partitions have all columns")
    files = {
        "file_bytes": file_bytes,
        "rows_per_file": rows_per_file,
        "compression": compression,
        "overwrite": overwrite,
    }
    regrouped = rows.shuffle(names_of(by), partitions, strategy=strategy, function=function)
    if session.dry_run:
        session.show_plan(regrouped.explain(), output=output)
    elif hive:
        _write_folders(session, rows, names_of(by), output, {**files, "keep_keys": keep_keys})
    else:
        _write_partitions(session, regrouped, output, files)


def _write_folders(session: Session, rows: Dataset, by: list[str], output: str, files: dict[str, Any]) -> None:
    with session.progress() as options:
        count = rows.write_parquet(output, partition_by=by, **files, **options)
    if session.json:
        session.document({"output": output, "row_count": count, "partition_by": by})
    else:
        print(f"wrote {output}: {count:,} rows in folders by {', '.join(by)}")


def _write_partitions(session: Session, regrouped: Dataset, output: str, files: dict[str, Any]) -> None:
    with session.progress() as options:
        counts = regrouped.write_partitions(output, **files, **options)
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
