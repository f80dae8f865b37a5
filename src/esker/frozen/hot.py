"""Reading hot columns: key files, streamed with row ids, only the row groups that hold wanted rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.batch import cast_batch
from esker.core.checksum import checksum_bytes
from esker.core.context import QueryContext
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch, Zone
from esker.errors import EskerError, PayloadCorruptError
from esker.formats.parquet import column_bounds
from esker.frozen.footer import footer_length, read_footer
from esker.frozen.location import check_name
from esker.frozen.records import CATALOG_FILE, KEYS_FOLDER, HotPart

_TAIL_BYTES = 8


def read_parts(
    folder: Path, parts: Sequence[HotPart], schema: pa.Schema, context: QueryContext, rows: RowSet | None = None
) -> Iterator[RowBatch]:
    """Yield the columns of `schema` in row-id order: all rows, or those of `rows`.

    A batch has at most `context.batch_rows` rows. Holds one row group's wanted columns at a time, and says so to
    the budget.
    """
    for part in parts:
        wanted = None if rows is None else rows.slice(part.first_row, part.row_stop)
        if wanted is not None and not wanted:
            continue
        with damage_named(folder / KEYS_FOLDER / part.file), open_part(folder, part) as file:
            yield from _read_part(file, part, schema, context, wanted)


def read_zones(folder: Path, parts: Sequence[HotPart], field: pa.Field) -> Iterator[Zone]:
    """Yield the bounds of a column in each row group of the key files; footers alone are read."""
    for part in parts:
        with damage_named(folder / KEYS_FOLDER / part.file), open_part(folder, part) as file:
            first_row, number = part.first_row, _column_number(file.metadata, field.name)
            for group in range(file.metadata.num_row_groups):
                stop_row = first_row + file.metadata.row_group(group).num_rows
                low, high = column_bounds(file.metadata, group, number, field.type)
                yield Zone(first_row, stop_row, low, high)
                first_row = stop_row


@contextmanager
def open_part(folder: Path, part: HotPart) -> Iterator[pq.ParquetFile]:
    """Open a key file whose size and footer are what the catalogue says; pages are checked as they are read."""
    path = folder / KEYS_FOLDER / check_name(part.file, "key file", str(folder / CATALOG_FILE))
    footer = read_footer(_checked_footer(path, part))
    if footer.num_rows != part.row_count:
        raise PayloadCorruptError(f"{path} has {footer.num_rows:,} rows; the catalogue says {part.row_count:,}")
    with pq.ParquetFile(path, metadata=footer, page_checksum_verification=True) as file:
        yield file


def check_size(path: Path, recorded_bytes: int) -> None:
    """Raise PayloadCorruptError when a file is missing, is a link, or has another size than recorded."""
    if path.is_symlink() or not path.is_file():
        raise PayloadCorruptError(f"{path} is missing; {_RESTORE}")
    found = path.stat().st_size
    if found != recorded_bytes:
        raise PayloadCorruptError(f"{path} has {found:,} bytes; the catalogue says {recorded_bytes:,}; {_RESTORE}")


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what pyarrow says of damaged bytes into our error, naming the file."""
    try:
        yield
    except EskerError as error:
        if not isinstance(error, PayloadCorruptError) or str(path) in str(error):
            raise
        raise PayloadCorruptError(f"{path} is damaged: {error}; {_RESTORE}") from error
    except (pa.ArrowException, OSError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PayloadCorruptError(f"{path} is damaged: {first_line}; {_RESTORE}") from error


_RESTORE = "restore it from a copy of the folder, or freeze the data again"


def _checked_footer(path: Path, part: HotPart) -> bytes:
    check_size(path, part.bytes)
    with path.open("rb") as file:
        file.seek(part.bytes - _TAIL_BYTES)
        length = footer_length(file.read(_TAIL_BYTES), str(path))
        if length > part.bytes:
            raise PayloadCorruptError(f"{path}: its footer claims {length:,} bytes of {part.bytes:,}; {_RESTORE}")
        file.seek(part.bytes - length)
        footer = file.read(length)
    if checksum_bytes(footer) != part.footer_checksum:
        raise PayloadCorruptError(f"{path}: the checksum of its footer is not the recorded one; {_RESTORE}")
    return footer


def _read_part(
    file: pq.ParquetFile, part: HotPart, schema: pa.Schema, context: QueryContext, rows: RowSet | None
) -> Iterator[RowBatch]:
    first_row = part.first_row
    columns = [_column_number(file.metadata, name) for name in schema.names]
    with context.budget.reserve("read keys") as reservation:
        for group in range(file.metadata.num_row_groups):
            metadata = file.metadata.row_group(group)
            stop_row = first_row + metadata.num_rows
            wanted = None if rows is None else rows.slice(first_row, stop_row)
            if wanted is None or wanted:
                reservation.resize(sum(metadata.column(number).total_uncompressed_size for number in columns))
                yield from _read_group(file, group, first_row, schema, context, wanted)
            first_row = stop_row


def _read_group(
    file: pq.ParquetFile, group: int, first_row: int, schema: pa.Schema, context: QueryContext, rows: RowSet | None
) -> Iterator[RowBatch]:
    group_stop = first_row + file.metadata.row_group(group).num_rows
    batches = file.iter_batches(
        context.batch_rows, row_groups=[group], columns=schema.names, use_threads=context.threads > 1
    )
    for batch in batches:
        context.check()
        stop_row = first_row + batch.num_rows
        batch = cast_batch(batch.select(schema.names), schema)
        if rows is None:
            yield RowBatch(np.arange(first_row, stop_row, dtype=np.uint64), batch)
        else:
            row_ids = rows.slice(first_row, stop_row).to_numpy()
            if len(row_ids):
                positions = pa.array((row_ids - np.uint64(first_row)).astype(np.int64))
                yield RowBatch(row_ids, batch if len(row_ids) == batch.num_rows else batch.take(positions))
        first_row = stop_row
    # pyarrow passes over a page whose header says, damaged, that it is of another kind.
    if first_row != group_stop:
        raise PayloadCorruptError(f"row group {group} ends {group_stop - first_row:,} rows early")


def _column_number(metadata: pq.FileMetaData, name: str) -> int:
    """Where a flat column lies in the file; a key file that lacks one is not the one that was frozen."""
    for number in range(metadata.num_columns):
        if metadata.schema.column(number).path == name:
            return number
    raise PayloadCorruptError(f"a key file has no column {name!r}")
