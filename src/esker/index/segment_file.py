"""The bytes of an index segment: vectors, a directory, a footer (docs/formats/index-segment.md)."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from esker.bitmap import Bitmap
from esker.core.checksum import Checksum
from esker.core.file_system import LOCAL, FileSystem
from esker.core.row_set import ROW_ID_STOP
from esker.errors import BitmapCorruptError

MAGIC = b"ESKIDX01"
ALIGNMENT = 8
# rows | directory's offset, bytes | vectors | CRC-32 of the directory | CRC-32 of the footer with 0 here | magic
FOOTER = struct.Struct("<QQQQII8s")
_META_KEY = b"esker"
_PLACES = {"offset": pa.uint64(), "bytes": pa.uint64(), "rows": pa.uint64(), "crc32": pa.uint32()}
LABEL = "label"


@dataclass(frozen=True)
class Directory:
    """Where each vector of a segment lies and what it stands for; row i of every array is slot i."""

    column: str
    kind: str
    encoding: str
    row_count: int
    offsets: np.ndarray[Any, np.dtype[np.uint64]]
    lengths: np.ndarray[Any, np.dtype[np.uint64]]
    rows: np.ndarray[Any, np.dtype[np.uint64]]
    checksums: np.ndarray[Any, np.dtype[np.uint32]]
    labels: pa.Array


@dataclass
class _Out:
    """A file being written front to back, its checksum, and where the next byte goes."""

    file: BinaryIO
    file_system: FileSystem
    offset: int = 0
    checksum: Checksum = field(default_factory=Checksum)

    def write(self, data: bytes | memoryview) -> None:
        self.file_system.write(self.file, data)
        self.checksum.update(data)
        self.offset += len(data)

    def align(self) -> None:
        self.write(bytes(-self.offset % ALIGNMENT))


def write_segment(
    path: Path,
    column: str,
    kind: str,
    labels: pa.Array,
    vectors: Iterable[Bitmap],
    row_count: int,
    file_system: FileSystem = LOCAL,
) -> tuple[int, str]:
    """Write a segment aside and publish it; gives its bytes and checksum. `labels` has one entry for each vector."""
    with file_system.write_aside(path) as file:
        out = _Out(file, file_system)
        out.write(MAGIC)
        places: dict[str, list[int]] = {name: [] for name in _PLACES}
        encoding = ""
        for vector in vectors:
            assert vector.row_count == row_count, "a vector of another row count"
            encoding = vector.encoding
            out.align()
            for name, value in zip(
                places, (out.offset, vector.nbytes, vector.count(), zlib.crc32(vector.data)), strict=True
            ):
                places[name].append(value)
            out.write(vector.data)
        out.align()
        directory = _directory_bytes({"column": column, "kind": kind, "encoding": encoding}, places, labels)
        head = (row_count, out.offset, len(directory), len(labels), zlib.crc32(directory))
        out.write(directory)
        out.write(FOOTER.pack(*head, zlib.crc32(FOOTER.pack(*head, 0, MAGIC)), MAGIC))
    return out.offset, out.checksum.text


def _directory_bytes(meta: Mapping[str, str], places: Mapping[str, list[int]], labels: pa.Array) -> bytes:
    arrays = [pa.array(places[name], type_) for name, type_ in _PLACES.items()]
    fields = [pa.field(name, type_, nullable=False) for name, type_ in _PLACES.items()]
    schema = pa.schema([*fields, pa.field(LABEL, labels.type)], metadata={_META_KEY: json.dumps(meta)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([*arrays, labels], schema=schema))
    return bytes(sink.getvalue())


def read_footer(footer: bytes, file_bytes: int, place: str) -> tuple[int, int, int, int, int]:
    """Check a footer; gives rows, the directory's offset, bytes and CRC-32, and the number of vectors."""
    if file_bytes < len(MAGIC) + FOOTER.size or len(footer) != FOOTER.size:
        raise BitmapCorruptError(f"{place}: {file_bytes} bytes are too few for an index segment")
    row_count, offset, length, vector_count, directory_crc, footer_crc, magic = FOOTER.unpack(footer)
    if magic != MAGIC:
        raise BitmapCorruptError(f"{place}: not an index segment of version 1, or its end is missing")
    if zlib.crc32(FOOTER.pack(row_count, offset, length, vector_count, directory_crc, 0, magic)) != footer_crc:
        raise BitmapCorruptError(f"{place}: the footer's checksum is wrong")
    if offset < len(MAGIC) or offset + length + FOOTER.size != file_bytes or row_count > ROW_ID_STOP:
        raise BitmapCorruptError(f"{place}: the directory does not lie before the footer")
    return row_count, offset, length, directory_crc, vector_count


def read_directory(data: bytes, row_count: int, stop: int, vector_count: int, place: str) -> Directory:
    """Read a directory whose checksum was right; `stop` is where the vectors end. Nothing in it is believed."""
    try:
        with pa.ipc.open_stream(data) as reader:
            batch = reader.read_next_batch()
        batch.validate(full=True)
        meta = json.loads((batch.schema.metadata or {})[_META_KEY])
        column, kind, encoding = (str(meta[name]) for name in ("column", "kind", "encoding"))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise BitmapCorruptError(f"{place}: the directory cannot be read: {error}") from error
    names = [*_PLACES, LABEL]
    if batch.schema.names != names or [f.type for f in batch.schema][:-1] != list(_PLACES.values()):
        raise BitmapCorruptError(f"{place}: the directory has other columns: {batch.schema.names}")
    if batch.num_rows != vector_count or any(batch.column(i).null_count for i in range(len(_PLACES))):
        raise BitmapCorruptError(f"{place}: the directory names {batch.num_rows} vectors, the footer {vector_count}")
    offsets, lengths, rows, checksums = (batch.column(i).to_numpy(zero_copy_only=False) for i in range(len(_PLACES)))
    # Compared without sums, which could overflow.
    if np.any(offsets < len(MAGIC)) or np.any(offsets > stop) or np.any(lengths > stop - offsets):
        raise BitmapCorruptError(f"{place}: a vector lies outside the file's vectors")
    if sum(rows.tolist()) != row_count:
        raise BitmapCorruptError(f"{place}: the vectors hold {sum(rows.tolist())} rows of {row_count}")
    return Directory(column, kind, encoding, row_count, offsets, lengths, rows, checksums, batch.column(LABEL))
