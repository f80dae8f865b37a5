"""Parquet: row groups are the fragments, column chunks the bytes that a projection reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from esker.core.extent import ByteRange
from esker.core.file_system import LOCAL, FileSystem
from esker.errors import InputFileError, OptionError, UnsupportedTypeError
from esker.formats.format import FileWriter, Format, read_options, reading, writing
from esker.formats.place import Place, open_native
from esker.formats.source import ColumnStatistics, DataFile, FilePart
from esker.storage.tier_file import TierFile

# Bytes read ahead per column: whole column chunks at once would make memory follow the writer's row group size. A row
# group of very many columns gets less for each.
_READ_AHEAD_BYTES = 1 << 20
# What most writers make a page of; a chunk smaller than that is one page.
_PAGE_BYTES = 1 << 20
_READ_AHEAD_MIN_BYTES = 16 << 10
_READ_AHEAD_ALL_BYTES = 16 << 20
# Wider rows come in batches of fewer, or a batch of them would outgrow what `batch_rows` was chosen for.
_WIDE_ROW_BYTES = 256
_CODECS = ("zstd", "snappy", "lz4", "gzip", "brotli", "none")
# Rows looked at to tell whether a column repeats itself. Of a text that does not, 32 files of 1.6 MB took 2.7 times as
# long to encode with a dictionary, which is given up only when it has grown to a megabyte.
_SAMPLE_ROWS = 1024


@dataclass(frozen=True)
class ParquetWriteOptions:
    """How Parquet is written.

    A row group ends at `row_group_rows` or about `row_group_bytes` of memory, whichever comes first. Pages hold about
    `page_bytes`. `statistics` names the columns that get min and max (None: all): for wide payload they only add
    bytes. `dictionary` names the columns written as a dictionary and indices (None: those whose values repeat among
    the file's first rows, and nested ones).
    """

    row_group_rows: int = 131_072
    row_group_bytes: int = 64 << 20
    page_bytes: int = 1 << 20
    statistics: Sequence[str] | None = None
    dictionary: Sequence[str] | None = None
    compression: str = "zstd"
    compression_level: int | None = None

    def __post_init__(self) -> None:
        for name in ("row_group_rows", "row_group_bytes", "page_bytes"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name}={getattr(self, name)!r}: must be at least 1")
        if self.compression not in _CODECS:
            raise OptionError(f"no compression={self.compression!r} for Parquet; there is: {', '.join(_CODECS)}")


class ParquetFormat(Format):
    """Read and write Parquet through pyarrow."""

    name = "parquet"
    extensions = (".parquet", ".pq")

    def open_file(self, path: Place, schema: pa.Schema | None, options: Mapping[str, Any]) -> DataFile:
        read_options(_NoOptions, options, self.name)
        return ParquetDataFile(path)

    def writer(
        self, path: Path, schema: pa.Schema, *, overwrite: bool = False, file_system: FileSystem = LOCAL, **options: Any
    ) -> FileWriter:
        chosen = read_options(ParquetWriteOptions, options, self.name)
        return ParquetFileWriter(path, schema, chosen, overwrite=overwrite, file_system=file_system)


@dataclass(frozen=True)
class _NoOptions:
    pass


class ParquetDataFile(DataFile):
    """A Parquet file: its footer is kept, and every size in it is checked against the file's length."""

    def __init__(self, path: Place) -> None:
        super().__init__(path)
        with reading(path, "Parquet"), open_native(path, self.bytes) as source, pq.ParquetFile(source) as file:
            self.metadata: pq.FileMetaData = file.metadata
            self.schema = file.schema_arrow
            self._leaves = self._find_leaves()
            self.parts = tuple(self._part(number) for number in range(self.metadata.num_row_groups))
        if sum(part.row_count or 0 for part in self.parts) != self.metadata.num_rows:
            raise InputFileError(f"{path} is damaged: its row groups do not add up to {self.metadata.num_rows:,} rows")

    def read(self, part: int, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Decode a row group, `batch_rows` at a time."""
        with reading(self.path, "Parquet"):
            source = open_native(self.path, self.bytes, self._fetched(part, columns))
            file = pq.ParquetFile(
                source,
                metadata=self.metadata,
                # Or pyarrow would load the whole row group first, however large its writer made it.
                pre_buffer=False,
                buffer_size=0 if self._remote else _buffer_bytes(len(columns)),
                page_checksum_verification=True,
            )
        with source, file:
            rows = self._rows_of_a_batch(part, columns, batch_rows)
            batches = file.iter_batches(rows, row_groups=[part], columns=list(columns), use_threads=False)
            while True:
                with reading(self.path, "Parquet"):
                    batch = next(batches, None)
                if batch is None:
                    return
                yield batch

    def statistics(self, part: int, column: str) -> ColumnStatistics | None:
        """Bounds from the footer; none for nested columns."""
        leaves = self._leaves[column]
        type_ = self.schema.field(column).type
        if len(leaves) != 1 or pa.types.is_nested(type_):
            return None
        found = self.metadata.row_group(part).column(leaves[0]).statistics
        if found is None:
            return None
        nulls = found.null_count if found.has_null_count else None
        return ColumnStatistics(*column_bounds(self.metadata, part, leaves[0], type_), nulls)

    def held_bytes(self, part: int, columns: Sequence[str]) -> int:
        """A page of each column, decoded, and what is read ahead of it."""
        group = self.metadata.row_group(part)
        chunks = [group.column(leaf) for name in set(columns) for leaf in self._leaves[name]]
        # An object's chunks are fetched together, before the first page is decoded.
        ahead = self.bytes if self._remote else _buffer_bytes(len(chunks))
        decoded = sum(min(int(chunk.total_uncompressed_size), _PAGE_BYTES) for chunk in chunks)
        return decoded + sum(min(int(chunk.total_compressed_size), ahead) for chunk in chunks)

    def byte_ranges(self, part: int, columns: Sequence[str]) -> list[ByteRange]:
        """The column chunks, dictionary pages included, those that touch joined."""
        group = self.metadata.row_group(part)
        chunks = sorted(self._chunk(group.column(leaf)) for name in set(columns) for leaf in self._leaves[name])
        joined: list[ByteRange] = []
        for chunk in chunks:
            if joined and chunk.start <= joined[-1].stop:
                joined[-1] = ByteRange(joined[-1].start, max(chunk.stop, joined[-1].stop))
            else:
                joined.append(chunk)
        return joined

    @property
    def _remote(self) -> bool:
        return isinstance(self.path, TierFile)

    def _fetched(self, part: int, columns: Sequence[str]) -> Sequence[ByteRange]:
        """What is fetched of an object before it is decoded; a file is read as it goes."""
        if not self._remote:
            return ()
        # Without a column, pyarrow counts rows by the footer.
        return self.byte_ranges(part, columns)

    def _rows_of_a_batch(self, part: int, columns: Sequence[str], batch_rows: int) -> int:
        group = self.metadata.row_group(part)
        leaves = (leaf for name in columns for leaf in self._leaves[name])
        size_bytes = int(sum(max(group.column(leaf).total_uncompressed_size, 0) for leaf in leaves))
        row_bytes = size_bytes // max(int(group.num_rows), 1)
        return max(1, min(batch_rows, batch_rows * _WIDE_ROW_BYTES // max(row_bytes, 1)))

    def _find_leaves(self) -> dict[str, list[int]]:
        leaves: dict[str, list[int]] = {name: [] for name in self.schema.names}
        schema = self.metadata.schema
        for leaf in range(self.metadata.num_columns):
            path = schema.column(leaf).path
            # A dot may be part of a column's name or lead into a nested one.
            name = path if path in leaves else path.split(".")[0]
            if name in leaves:
                leaves[name].append(leaf)
        return leaves

    def _part(self, number: int) -> FilePart:
        group = self.metadata.row_group(number)
        if group.num_rows < 0:
            raise InputFileError(f"{self.path} is damaged: row group {number} says {group.num_rows} rows")
        return FilePart(
            group.num_rows, sum(self._chunk(group.column(leaf)).length for leaf in range(group.num_columns))
        )

    def _chunk(self, chunk: pq.ColumnChunkMetaData) -> ByteRange:
        start = chunk.data_page_offset
        if chunk.has_dictionary_page and chunk.dictionary_page_offset:
            start = min(start, chunk.dictionary_page_offset)
        stop = start + chunk.total_compressed_size
        if not 0 <= start <= stop <= self.bytes:
            raise InputFileError(
                f"{self.path} is damaged: column {chunk.path_in_schema!r} lies at bytes {start:,} to {stop:,} of a file"
                f" of {self.bytes:,}"
            )
        return ByteRange(start, stop)


def _buffer_bytes(column_count: int) -> int:
    """How far each column is read ahead, so that all of them together take little."""
    return max(_READ_AHEAD_MIN_BYTES, min(_READ_AHEAD_BYTES, _READ_AHEAD_ALL_BYTES // max(column_count, 1)))


class ParquetFileWriter(FileWriter):
    """Write Parquet with page index, page checksums and plain types."""

    def __init__(
        self, path: Path, schema: pa.Schema, options: ParquetWriteOptions, *, overwrite: bool, file_system: FileSystem
    ) -> None:
        super().__init__(path, schema, overwrite=overwrite, file_system=file_system)
        self._options = options
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._encoded_from_bytes = 0
        self._writer: pq.ParquetWriter | None = None

    @property
    def pending_bytes(self) -> int:
        """Bytes of the rows that wait for their row group to be full, in memory."""
        return self._pending_bytes

    @property
    def encoded_bytes(self) -> int:
        """Bytes that are in the file."""
        return int(self._file.tell())

    @property
    def encoded_from_bytes(self) -> int:
        """What the rows of the row groups in the file took in memory."""
        return self._encoded_from_bytes

    def flush(self) -> None:
        """End the row group: no batch that was written is held any longer."""
        if self._pending:
            with writing(self.path):
                self._flush()

    def _begin(self, file: BinaryIO) -> None:
        _leaf_paths(self.schema)

    def _write(self, batch: pa.RecordBatch) -> None:
        while batch.num_rows:
            # Batches from a shuffle may be of a hundred rows: one that fits is neither cut nor measured twice.
            size_bytes = batch.nbytes
            room_rows = self._room_rows(batch.num_rows, size_bytes)
            if room_rows >= batch.num_rows:
                self._hold(batch, size_bytes)
                return
            taken = batch.slice(0, room_rows)
            self._hold(taken, taken.nbytes)
            batch = batch.slice(room_rows)

    def _hold(self, batch: pa.RecordBatch, size_bytes: int) -> None:
        options = self._options
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self._pending_bytes += size_bytes
        if self._pending_rows == options.row_group_rows or self._pending_bytes >= options.row_group_bytes:
            self._flush()

    def _room_rows(self, rows: int, size_bytes: int) -> int:
        """How many of `rows` rows the row group takes, by their mean size; at least one."""
        by_bytes = (self._options.row_group_bytes - self._pending_bytes) * rows // max(size_bytes, 1)
        return max(1, min(self._options.row_group_rows - self._pending_rows, by_bytes))

    def _flush(self) -> None:
        if not self._pending and self._writer is not None:
            return
        table = pa.Table.from_batches(self._pending, schema=self.schema)
        if self._writer is None:
            self._writer = self._open_writer(table)
        if table.num_rows:
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
            self._encoded_from_bytes += self._pending_bytes
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _open_writer(self, first: pa.Table) -> pq.ParquetWriter:
        options = self._options
        statistics = True if options.statistics is None else list(options.statistics) or False
        return pq.ParquetWriter(
            self._file,
            self.schema,
            compression=options.compression,
            compression_level=options.compression_level,
            write_statistics=statistics,
            use_dictionary=dictionary_leaves(first, options.dictionary) or False,
            data_page_size=options.page_bytes,
            write_batch_size=write_batch_rows(first, options.page_bytes),
            write_page_index=True,
            write_page_checksum=True,
            store_schema=True,
        )

    def _finish(self) -> None:
        self._flush()
        assert self._writer is not None
        self._writer.close()

    def _abandon(self) -> None:
        self._pending = []
        if self._writer is not None:
            with suppress(Exception):  # nothing of it stays
                self._writer.close()
            self._writer.is_open = False  # else it would try again when collected, on a closed file


def write_batch_rows(table: pa.Table, page_bytes: int) -> int:
    """How many rows to write between two looks at the page's size.

    pyarrow ends a page only between write batches, of 1,024 rows by default: pages of wide columns would be many times
    `page_bytes`. A quarter of a page of the widest column keeps the overshoot below a quarter.
    """
    if not table.num_rows:
        return 1024
    widest = max((column.nbytes for column in table.columns), default=1) / table.num_rows
    return int(min(1024, max(1, page_bytes / 4 / max(widest, 1))))


@lru_cache(maxsize=64)
def _leaf_paths(schema: pa.Schema) -> dict[str, list[str]]:
    """The paths of the leaves of each column, as Parquet has them; UnsupportedTypeError names one it cannot hold."""
    return {field.name: leaf_paths(field) for field in schema}


def leaf_paths(field: pa.Field) -> list[str]:
    """The paths of the leaves of a column, as Parquet has them; UnsupportedTypeError if Parquet cannot hold it.

    >>> leaf_paths(pa.field("at", pa.struct({"x": pa.int8(), "y": pa.int8()})))
    ['at.x', 'at.y']
    """
    if field.metadata is None and _is_held_plainly(field.type, field.nullable):
        return [field.name]
    if _holds_empty_lists(field.type):
        raise _not_held(field, "what is written of lists of a fixed size of 0 cannot be read")
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(pa.schema([field]).empty_table(), sink)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, OSError) as error:  # OSError: Parquet's own refusals
        raise _not_held(field, str(error)) from error
    found = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    return [found.column(leaf).path for leaf in range(len(found))]


@lru_cache(maxsize=256)
def _is_held_plainly(type_: pa.DataType, nullable: bool) -> bool:
    """Whether a column of a type is one leaf, and Parquet can hold it; asked once a type, where columns are many."""
    if type_.num_fields or isinstance(type_, pa.BaseExtensionType):
        return False
    try:
        pq.write_table(pa.schema([pa.field("it", type_, nullable)]).empty_table(), pa.BufferOutputStream())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, OSError):
        return False
    return True


def _not_held(field: pa.Field, why: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(
        f"column {field.name!r} is {field.type}, which Parquet cannot hold ({why}); cast it or leave it out"
    )


def _holds_empty_lists(type_: pa.DataType) -> bool:
    if pa.types.is_fixed_size_list(type_) and not type_.list_size:
        return True
    return any(_holds_empty_lists(type_.field(number).type) for number in range(type_.num_fields))


def dictionary_leaves(first: pa.Table, names: Sequence[str] | None = None) -> list[str]:
    """The paths of the leaves to write as a dictionary and indices: those of `names`, else where values repeat."""
    chosen = [name for name in first.schema.names if repeats(first[name])] if names is None else names
    paths = _leaf_paths(first.schema)
    return [path for name in chosen for path in paths[name]]


def repeats(column: pa.ChunkedArray) -> bool:
    """Whether at least every other value among the first is one that was there before; nested columns are not asked."""
    sample = column.slice(0, _SAMPLE_ROWS)
    try:
        return bool(2 * pc.count_distinct(sample, mode="all").as_py() <= len(sample))
    except pa.ArrowNotImplementedError:
        return True


def column_bounds(
    metadata: pq.FileMetaData, group: int, leaf: int, type_: pa.DataType
) -> tuple[pa.Scalar | None, pa.Scalar | None]:
    """Give the least and the greatest value of a flat column in a row group; None where the footer does not tell.

    Of floats it never tells the greatest: NaN is left out of statistics and sorts above every number.
    """
    found = metadata.row_group(group).column(leaf).statistics
    if found is None or not found.has_min_max:
        return None, None
    type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
    high = None if pa.types.is_floating(type_) else _bound(found, "max", type_)
    return _bound(found, "min", type_), high


def _bound(found: pq.Statistics, side: str, type_: pa.DataType) -> pa.Scalar | None:
    """`min` or `max` as a scalar of the column's type, or None where it cannot be told."""
    try:
        if getattr(type_, "unit", None) == "ns":
            # Nanoseconds have no Python object without pandas.
            return pa.scalar(getattr(found, f"{side}_raw"), pa.int64()).cast(type_)
        return pa.scalar(getattr(found, side), type_)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError):
        return None


FORMAT = ParquetFormat()
