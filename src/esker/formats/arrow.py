"""Arrow IPC: files are mapped and handed on without a copy, streams are read in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from esker.core.batch import slices
from esker.core.file_system import LOCAL, FileSystem
from esker.errors import InputFileError, OptionError
from esker.formats.format import FileWriter, Format, read_options, reading
from esker.formats.place import STREAM_AHEAD_BYTES, Place, open_binary, open_mapped, open_native
from esker.formats.source import DataFile, FilePart

_FILE_MAGIC = b"ARROW1"
_FEATHER_1_MAGIC = b"FEA1"
# Small batches are read together: a fragment is a unit of work, and a thousand rows are not worth one.
_PART_ROWS = 1 << 20


@dataclass(frozen=True)
class ArrowWriteOptions:
    """How Arrow IPC is written: `compression` is none (others can map the file as well), lz4 or zstd."""

    compression: str = "none"

    def __post_init__(self) -> None:
        if self.compression not in ("none", "lz4", "zstd"):
            raise OptionError(f"no compression={self.compression!r} for Arrow files; there is: none, lz4, zstd")


@dataclass(frozen=True)
class _NoOptions:
    pass


class ArrowFormat(Format):
    """Read Arrow IPC files and streams (Feather 2 is the same), write files."""

    name = "arrow"
    extensions = (".arrow", ".feather", ".ipc", ".arrows")

    def open_file(self, path: Place, schema: pa.Schema | None, options: Mapping[str, Any]) -> DataFile:
        read_options(_NoOptions, options, self.name)
        with reading(path, "Arrow"), open_binary(path) as file:
            magic = file.read(len(_FILE_MAGIC))
        if not magic:
            raise InputFileError(f"{path} is empty")
        if magic.startswith(_FEATHER_1_MAGIC):
            raise InputFileError(f"{path} is a Feather 1 file; write it again as Feather 2 or Parquet")
        return ArrowIpcFile(path) if magic == _FILE_MAGIC else ArrowIpcStream(path)

    def writer(
        self, path: Path, schema: pa.Schema, *, overwrite: bool = False, file_system: FileSystem = LOCAL, **options: Any
    ) -> FileWriter:
        chosen = read_options(ArrowWriteOptions, options, self.name)
        return ArrowFileWriter(path, schema, chosen, overwrite=overwrite, file_system=file_system)


class ArrowIpcFile(DataFile):
    """An IPC file: neighbouring batches make a part; every batch is validated in full before it is handed on."""

    def __init__(self, path: Place) -> None:
        super().__init__(path)
        with reading(path, "Arrow"), open_mapped(path, self.bytes) as source:
            with pa.ipc.open_file(source) as reader:
                self.schema = reader.schema
            rows = self._count_rows(source)
        self._spans = list(_spans(rows))
        total, length = max(sum(rows), 1), self.bytes
        self.parts = tuple(
            FilePart(sum(rows[start:stop]), length * sum(rows[start:stop]) // total) for start, stop in self._spans
        )

    def read(self, part: int, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Map the part's batches, or decompress the columns asked for."""
        start, stop = self._spans[part]
        with reading(self.path, "Arrow"):
            reader = pa.ipc.open_file(open_mapped(self.path, self.bytes), options=_only(self.schema, columns))
        for number in range(start, stop):
            with reading(self.path, "Arrow"):
                batch = reader.get_batch(number)
                batch.validate(full=True)
            yield from slices(batch, batch_rows)

    def _count_rows(self, source: pa.NativeFile) -> list[int]:
        # One narrow column is enough to count by, where batches are compressed.
        fields = sorted(self.schema, key=lambda field: _width(field.type))
        with pa.ipc.open_file(source, options=_only(self.schema, [field.name for field in fields[:1]])) as reader:
            return [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]


class ArrowIpcStream(DataFile):
    """An IPC stream: one part, whose rows are known when it has been read."""

    def __init__(self, path: Place) -> None:
        super().__init__(path)
        with reading(path, "Arrow"), open_native(path, self.bytes) as source, pa.ipc.open_stream(source) as reader:
            self.schema = reader.schema
        self.parts = (FilePart(None, self.bytes),)

    def read(self, part: int, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Read the stream from its start."""
        with reading(self.path, "Arrow"):
            source = open_native(self.path, self.bytes, ahead_bytes=STREAM_AHEAD_BYTES)
        with source:
            with reading(self.path, "Arrow"):
                reader = pa.ipc.open_stream(source, options=_only(self.schema, columns))
            while True:
                with reading(self.path, "Arrow"):
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        return
                    batch.validate(full=True)
                yield from slices(batch, batch_rows)


class ArrowFileWriter(FileWriter):
    """Write an IPC file of plain types."""

    def __init__(
        self, path: Path, schema: pa.Schema, options: ArrowWriteOptions, *, overwrite: bool, file_system: FileSystem
    ) -> None:
        super().__init__(path, schema, overwrite=overwrite, file_system=file_system)
        self._options = options
        self._writer: pa.RecordBatchFileWriter | None = None

    def _begin(self, file: BinaryIO) -> None:
        compression = None if self._options.compression == "none" else self._options.compression
        self._writer = pa.ipc.new_file(file, self.schema, options=pa.ipc.IpcWriteOptions(compression=compression))

    def _write(self, batch: pa.RecordBatch) -> None:
        assert self._writer is not None
        self._writer.write_batch(batch)

    def _finish(self) -> None:
        assert self._writer is not None
        self._writer.close()

    def _abandon(self) -> None:
        if self._writer is not None:
            with suppress(Exception):  # nothing of it stays
                self._writer.close()


def _only(schema: pa.Schema, columns: Sequence[str]) -> pa.ipc.IpcReadOptions:
    """Decode only `columns`; pyarrow takes an empty list for all, so one is read to count rows by."""
    wanted = sorted(schema.get_field_index(name) for name in columns) or list(range(len(schema)))[:1]
    return pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)


def _spans(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Cut batches into runs of about `_PART_ROWS` rows: start and stop of each."""
    start, held = 0, 0
    for number, count in enumerate(rows):
        if held and held + count > _PART_ROWS:
            yield start, number
            start, held = number, 0
        held += count
    if start < len(rows):
        yield start, len(rows)


def _width(type_: pa.DataType) -> int:
    try:
        return int(type_.bit_width)
    except ValueError:
        return 1 << 20


FORMAT = ArrowFormat()
