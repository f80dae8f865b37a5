"""CSV: one fragment a file, streamed block by block; types come from its beginning unless they are given."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

import pyarrow as pa
import pyarrow.csv as pacsv

from esker.core.batch import require_columns, slices
from esker.core.context import BYTES_OF_A_ROW
from esker.core.file_system import LOCAL, FileSystem
from esker.errors import InputFileError, OptionError, SchemaMismatchError, UnsupportedTypeError
from esker.formats.csv_faults import explain
from esker.formats.format import FileWriter, Format, read_options, reading
from esker.formats.place import STREAM_AHEAD_BYTES, Place, open_native
from esker.formats.source import DataFile, FilePart

_BLOCK_BYTES = 256 << 10
_WIDE_BLOCK_BYTES = 4 * _BLOCK_BYTES
_BLOCKS_AHEAD = 32
# Of a block each column is an array of its own, which costs as much as some hundred bytes of values.
_COLUMN_BYTES = 1 << 10
# A query has 4 KiB for each row of its batches, of which so much is read ahead.
_AHEAD_BYTES_OF_A_ROW = BYTES_OF_A_ROW // 8


class CsvOptionsGiven(TypedDict, total=False):
    """Options of reading as keywords of a call: a type checker knows their names and what they may be."""

    delimiter: str | None
    header: bool
    null_values: Sequence[str]
    types: Mapping[str, pa.DataType | str]
    schema: pa.Schema | None
    encoding: str
    block_bytes: int | None


@dataclass(frozen=True)
class CsvReadOptions:
    """How CSV is read.

    `types` gives the types of some columns, `schema` of all; without a header the names come from `schema`, or are
    f0, f1 and so on. An unquoted field that is one of `null_values` is null; a quoted one never is, so that "" is an
    empty string. Types are told from the first four blocks. A record must fit into `block_bytes`: 256 KiB, and up to
    four times that where there are many columns and memory for it. pyarrow reads up to 32 blocks ahead, which is what
    reading costs in memory.
    """

    delimiter: str | None = None
    header: bool = True
    null_values: Sequence[str] = ("",)
    types: Mapping[str, pa.DataType | str] = field(default_factory=dict)
    schema: pa.Schema | None = None
    encoding: str = "utf-8"
    block_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise OptionError(f"delimiter={self.delimiter!r}: must be one character")
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise OptionError(f"encoding={self.encoding!r}: not known to Python") from error


@dataclass(frozen=True)
class CsvWriteOptions:
    """How CSV is written: nulls are empty fields, strings are quoted, so that an empty string is no null."""

    delimiter: str | None = None
    header: bool = True


class CsvFormat(Format):
    """Read and write CSV and TSV, also gzipped."""

    name = "csv"
    extensions = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

    def open_file(self, path: Place, schema: pa.Schema | None, options: Mapping[str, Any]) -> DataFile:
        return CsvFile(path, read_options(CsvReadOptions, options, self.name), schema)

    def writer(
        self, path: Path, schema: pa.Schema, *, overwrite: bool = False, file_system: FileSystem = LOCAL, **options: Any
    ) -> FileWriter:
        chosen = read_options(CsvWriteOptions, options, self.name)
        return CsvFileWriter(path, schema, chosen, overwrite=overwrite, file_system=file_system)


class CsvFile(DataFile):
    """A CSV file with its types settled; `first` is the schema of the first of several files."""

    def __init__(self, path: Place, options: CsvReadOptions, first: pa.Schema | None) -> None:
        super().__init__(path)
        self._options = options
        self.delimiter = options.delimiter or _delimiter(path)
        self.encoding = options.encoding
        if self.bytes == 0:
            raise InputFileError(f"{path} is empty: not even a header")
        found = self._infer()
        self._single = len(found) == 1
        self.schema = self._settle(found, first)
        self.parts = (FilePart(None, self.bytes),)

    def read(self, part: int, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Parse the file from its start, a block at a time."""
        # Without a column there would be nothing to count rows by.
        wanted = list(columns) or self.schema.names[:1]
        types = {name.name: name.type for name in self.schema}
        with self._open(self._stream(), self._block_bytes(batch_rows), types, wanted) as reader:
            while True:
                with self._explained():
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        return
                yield from slices(batch, batch_rows)

    def _infer(self) -> pa.Schema:
        types = {name: _type(given) for name, given in self._options.types.items()}
        block_bytes = 4 * (_BLOCK_BYTES if self._options.block_bytes is None else self._options.block_bytes)
        with self._explained(), self._stream() as file:
            # Twice that, so that the block ends between records, and no more, so that nothing is read ahead.
            beginning = pa.BufferReader(file.read(2 * block_bytes))
        with self._open(beginning, block_bytes, types, None) as reader, self._explained():
            _ = reader.schema.names  # pyarrow reads names without looking whether they are UTF-8
            return reader.schema

    def _block_bytes(self, batch_rows: int) -> int:
        if self._options.block_bytes is not None:
            return self._options.block_bytes
        wanted = min(_COLUMN_BYTES * len(self.schema), _AHEAD_BYTES_OF_A_ROW * batch_rows // _BLOCKS_AHEAD)
        return min(max(wanted, _BLOCK_BYTES), _WIDE_BLOCK_BYTES)

    def _settle(self, found: pa.Schema, first: pa.Schema | None) -> pa.Schema:
        given = self._options.schema
        require_columns(list(self._options.types), found, str(self.path))
        for wanted in (given, first):
            if wanted is not None and wanted.names != found.names:
                raise SchemaMismatchError(
                    f"{self.path} has columns {', '.join(found.names)}; expected {', '.join(wanted.names)}"
                )
        if given is not None or first is not None:
            return given if given is not None else first
        binary = next((name.name for name in found if pa.types.is_binary(name.type)), None)
        if binary is not None and _type(self._options.types.get(binary, "string")) == pa.string():
            # pyarrow takes what is not UTF-8 for bytes.
            raise explain(self, ValueError("invalid UTF8 data"))
        return pa.schema([name.with_type(_roomy(name.type)) for name in found])

    @contextmanager
    def _open(
        self, source: pa.NativeFile, block_bytes: int, types: dict[str, pa.DataType], columns: list[str] | None
    ) -> Iterator[pacsv.CSVStreamingReader]:
        options = self._options
        names = options.schema.names if options.schema is not None and not options.header else None
        with source:
            with self._explained():
                reader = pacsv.open_csv(
                    source,
                    read_options=pacsv.ReadOptions(
                        use_threads=False,  # the engine reads files side by side; and errors carry a row only so
                        block_size=block_bytes,
                        encoding=options.encoding,
                        column_names=names,
                        autogenerate_column_names=not options.header and names is None,
                    ),
                    parse_options=pacsv.ParseOptions(
                        delimiter=self.delimiter,
                        newlines_in_values=True,
                        # In a file of one column an empty line is a null.
                        ignore_empty_lines=not getattr(self, "_single", False),
                    ),
                    convert_options=pacsv.ConvertOptions(
                        column_types=types,
                        include_columns=columns,
                        null_values=list(options.null_values),
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                    ),
                )
            with reader:
                yield reader

    def _stream(self) -> pa.NativeFile:
        with reading(self.path, "CSV"):
            file = open_native(self.path, self.bytes, ahead_bytes=STREAM_AHEAD_BYTES)
        return pa.CompressedInputStream(file, "gzip") if self.path.name.lower().endswith(".gz") else file

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, UnicodeError, OSError) as error:
            if isinstance(error, InputFileError):
                raise
            raise explain(self, error) from error


class CsvFileWriter(FileWriter):
    """Write CSV; `.gz` compresses."""

    def __init__(
        self, path: Path, schema: pa.Schema, options: CsvWriteOptions, *, overwrite: bool, file_system: FileSystem
    ) -> None:
        super().__init__(path, schema, overwrite=overwrite, file_system=file_system)
        self._options = options
        self._writer: pacsv.CSVWriter | None = None
        self._compressed: gzip.GzipFile | None = None

    def _begin(self, file: BinaryIO) -> None:
        _check_types(self.schema)
        if self.path.name.lower().endswith(".gz"):
            # Not pyarrow's, which closes the file; and no time of day in it, so that equal rows give equal bytes.
            self._compressed = gzip.GzipFile("", "wb", fileobj=file, mtime=0)
        options = pacsv.WriteOptions(
            include_header=self._options.header, delimiter=self._options.delimiter or _delimiter(self.path)
        )
        self._writer = pacsv.CSVWriter(self._compressed or file, self.schema, write_options=options)

    def _write(self, batch: pa.RecordBatch) -> None:
        assert self._writer is not None
        self._writer.write_batch(batch)

    def _finish(self) -> None:
        assert self._writer is not None
        self._writer.close()
        if self._compressed is not None:
            self._compressed.close()

    def _abandon(self) -> None:
        with suppress(Exception):  # nothing of it stays
            self._finish()


def _delimiter(path: Place) -> str:
    return "\t" if path.name.lower().endswith((".tsv", ".tsv.gz")) else ","


def _type(given: pa.DataType | str) -> pa.DataType:
    if isinstance(given, pa.DataType):
        return given
    try:
        return pa.type_for_alias(given)
    except ValueError as error:
        raise OptionError(f"types: no type {given!r}; write string, int64, double, date32, timestamp[us], …") from error


def _roomy(type_: pa.DataType) -> pa.DataType:
    """What an inferred type becomes, so that what later blocks are likely to hold fits."""
    if pa.types.is_null(type_):
        return pa.string()
    if pa.types.is_timestamp(type_) and type_.unit == "s":
        return pa.timestamp("us", type_.tz)
    return pa.time64("us") if pa.types.is_time32(type_) else type_


def _check_types(schema: pa.Schema) -> None:
    for column in schema:
        type_ = column.type
        written = not (
            pa.types.is_binary(type_)
            or pa.types.is_large_binary(type_)
            or pa.types.is_fixed_size_binary(type_)
            or pa.types.is_interval(type_)  # only rows of it are refused, and a table without any is written
        )
        try:
            pacsv.write_csv(pa.schema([column]).empty_table(), pa.BufferOutputStream())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            written = False
        if not written:
            raise UnsupportedTypeError(f"column {column.name!r} is {type_}, which CSV cannot hold; cast it to string")


FORMAT = CsvFormat()
