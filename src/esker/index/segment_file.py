"""The bytes of an index segment: vectors, directory blocks, a root, a footer (docs/formats/index-segment.md)."""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.bitmap import Bitmap
from esker.core.checksum import Checksum
from esker.core.file_system import LOCAL, FileSystem
from esker.core.row_set import ROW_ID_STOP
from esker.errors import BitmapCorruptError

MAGIC = b"ESKIDX02"
MAGIC_1 = b"ESKIDX01"
# Vectors of a block of the directory: small enough that a question on one value reads little beside its vector.
BLOCK_VECTORS = 4_096
# Vectors from this size on begin at a multiple of eight, so that their words are read as they lie.
ALIGNED_BYTES = 64
ALIGNMENT = 8
# rows | root's (in version 1 the directory's) offset, bytes | vectors | its CRC-32 | CRC-32 of this with 0 here | magic
FOOTER = struct.Struct("<QQQQII8s")
LABEL = "label"

_META_KEY = b"esker"
_PLACES_1 = {"offset": pa.uint64(), "bytes": pa.uint64(), "rows": pa.uint64(), "crc32": pa.uint32()}
_PLACES = {
    "offset": pa.uint64(),
    "bytes": pa.uint64(),
    "rows": pa.uint64(),
    "slot_rows": pa.uint64(),
    "crc32": pa.uint32(),
    "encoding": pa.uint8(),
}
_ROOT = {
    "offset": pa.uint64(),
    "bytes": pa.uint64(),
    "crc32": pa.uint32(),
    "vectors": pa.uint32(),
    "slot_rows": pa.uint64(),
    "vector_bytes": pa.uint64(),
}
_FIRST, _LAST = "first", "last"

Counts = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Entry:
    """A vector to be written (None: no row, no bytes) and the rows of its slot, where they are not the vector's."""

    vector: Bitmap | None
    slot_rows: int | None = None


@dataclass(frozen=True)
class Block:
    """Vectors to be written and what each stands for; `labels` has one value for each entry."""

    labels: pa.Array
    entries: Iterable[Entry]


class Packed(NamedTuple):
    """Encoded vectors as they are to lie in the file: bytes, and of each its place, length and encoding."""

    data: npt.NDArray[np.uint8]
    offsets: Counts
    lengths: Counts
    encodings: list[str]


@dataclass(frozen=True)
class PackedBlock:
    """Vectors to be written, without empty ones, that are encoded many at a time.

    `starts` cuts the rows of all into those of each; `pack(first, stop, offset)` encodes some of them for a place in
    the file.
    """

    labels: pa.Array
    starts: Counts
    pack: Callable[[int, int, int], Packed]


@dataclass(frozen=True)
class Meta:
    """What holds for a segment as a whole; `slot_count` of its vectors cut the rows into parts, the others do not.

    `spans` are the slots (from, to) of each vector past `slot_count`; `base` is the layout's own.
    """

    column: str
    kind: str
    layout: str
    slots: str
    slot_count: int
    spans: tuple[tuple[int, int], ...] = ()
    base: int = 0

    def to_json(self, encodings: list[str]) -> dict[str, Any]:
        return {**self.__dict__, "spans": [list(span) for span in self.spans], "encodings": encodings}


@dataclass(frozen=True)
class Places:
    """Where the vectors of a block lie, and what they stand for; entry i of every array is one vector."""

    offsets: Counts
    lengths: Counts
    rows: Counts
    slot_rows: Counts
    checksums: npt.NDArray[np.uint32]
    encodings: npt.NDArray[np.uint8]
    labels: pa.Array


@dataclass(frozen=True)
class Root:
    """Where the blocks of the directory lie; `firsts` and `lasts` are the labels at their ends."""

    meta: Meta
    encodings: tuple[str, ...]
    row_count: int
    vector_count: int
    offsets: Counts
    lengths: Counts
    checksums: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.uint32]
    slot_rows: Counts
    vector_bytes: Counts
    firsts: pa.Array
    lasts: pa.Array


@dataclass
class _Out:
    """A file being written front to back, its checksum, and where the next byte goes."""

    file: BinaryIO
    file_system: FileSystem
    offset: int = 0
    checksum: Checksum = field(default_factory=Checksum)
    _pending: list[bytes | memoryview] = field(default_factory=list)
    _pending_bytes: int = 0

    def write(self, data: bytes | memoryview) -> None:
        # Many vectors are a few bytes long.
        self._pending.append(data)
        self._pending_bytes += len(data)
        self.offset += len(data)
        if self._pending_bytes >= 1 << 16:
            self.flush()

    def flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        if data:
            self.file_system.write(self.file, data)
            self.checksum.update(data)

    def align(self) -> None:
        if padding := -self.offset % ALIGNMENT:
            self.write(bytes(padding))


class _Columns:
    """Columns of a directory being gathered."""

    def __init__(self, types: Mapping[str, pa.DataType]) -> None:
        self._types = types
        self._values: dict[str, list[int]] = {name: [] for name in types}

    def add(self, *values: int) -> None:
        for column, value in zip(self._values.values(), values, strict=True):
            column.append(value)

    def total(self, name: str) -> int:
        return sum(self._values[name])

    def to_bytes(self, labels: Mapping[str, pa.Array], meta: Mapping[str, Any] | None = None) -> bytes:
        fields = [pa.field(name, type_, nullable=False) for name, type_ in self._types.items()]
        arrays = [pa.array(self._values[name], type_) for name, type_ in self._types.items()]
        schema = pa.schema(
            [*fields, *(pa.field(name, array.type) for name, array in labels.items())],
            metadata={_META_KEY: json.dumps(meta)} if meta is not None else None,
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays([*arrays, *labels.values()], schema=schema))
        return bytes(sink.getvalue())


class Written(NamedTuple):
    """A segment that was written; `encodings` says how many vectors have each."""

    bytes: int
    checksum: str
    vectors: int
    encodings: dict[str, int]


def _go_on() -> None:
    """Nobody asks to stop."""


def write_segment(
    path: Path,
    meta: Meta | Callable[[], Meta],
    blocks: Iterable[Block | PackedBlock],
    label_type: pa.DataType,
    row_count: int,
    file_system: FileSystem = LOCAL,
    check: Callable[[], None] = _go_on,
) -> Written:
    """Write a segment aside and publish it.

    Holds one block of the directory at a time. `meta` may be asked for at the end, when all is known. `check` is called
    between blocks of the directory, and may raise to end the writing: nothing is left then.
    """
    with file_system.write_aside(path) as file:
        writer = _SegmentWriter(_Out(file, file_system), row_count, label_type, check)
        writer.out.write(MAGIC)
        for block in blocks:
            writer.add(block)
        writer.finish(meta if isinstance(meta, Meta) else meta())
    return Written(writer.out.offset, writer.out.checksum.text, writer.vector_count, dict(writer.encoded))


class _SegmentWriter:
    def __init__(self, out: _Out, row_count: int, label_type: pa.DataType, check: Callable[[], None]) -> None:
        self.out = out
        self._check = check
        self.vector_count = 0
        self.encoded: Counter[str] = Counter()
        self._row_count = row_count
        self._label_type = label_type
        self._root = _Columns(_ROOT)
        self._firsts: list[pa.Array] = []
        self._lasts: list[pa.Array] = []
        self._encodings: dict[str, int] = {}

    def add(self, block: Block | PackedBlock) -> None:
        if isinstance(block, PackedBlock):
            for start in range(0, len(block.labels), BLOCK_VECTORS):
                self._add_packed(block, start, min(start + BLOCK_VECTORS, len(block.labels)))
            return
        entries = iter(block.entries)
        for start in range(0, len(block.labels), BLOCK_VECTORS):
            labels = block.labels.slice(start, BLOCK_VECTORS)
            self._check()
            self._add_block(labels, islice(entries, len(labels)))

    def finish(self, meta: Meta) -> None:
        empty = pa.array([], self._label_type)
        ends = {_FIRST: pa.concat_arrays([empty, *self._firsts]), _LAST: pa.concat_arrays([empty, *self._lasts])}
        data = self._root.to_bytes(ends, meta.to_json(list(self._encodings)))
        self.out.align()
        head = (self._row_count, self.out.offset, len(data), self.vector_count, zlib.crc32(data))
        self.out.write(data)
        self.out.write(FOOTER.pack(*head, zlib.crc32(FOOTER.pack(*head, 0, MAGIC)), MAGIC))
        self.out.flush()

    def _add_block(self, labels: pa.Array, entries: Iterator[Entry]) -> None:
        places = _Columns(_PLACES)
        count = 0
        for entry in entries:
            places.add(*self._write(entry))
            count += 1
        assert count == len(labels), "a label for each vector"
        self._add_places(places, labels)

    def _add_packed(self, block: PackedBlock, first: int, stop: int) -> None:
        self._check()
        packed = block.pack(first, stop, self.out.offset)
        begin, data = self.out.offset, packed.data.data
        self.out.write(data)
        self.encoded.update(packed.encodings)
        places = _Columns(_PLACES)
        rows = np.diff(block.starts[first : stop + 1]).tolist()
        for offset, length, count, encoding in zip(
            packed.offsets.tolist(), packed.lengths.tolist(), rows, packed.encodings, strict=True
        ):
            code = self._encodings.setdefault(encoding, len(self._encodings))
            part = data[offset - begin : offset - begin + length]
            places.add(offset, length, count, count, zlib.crc32(part), code)
        self._add_places(places, block.labels.slice(first, stop - first))

    def _add_places(self, places: _Columns, labels: pa.Array) -> None:
        self.out.align()
        data = places.to_bytes({LABEL: labels})
        self._root.add(
            self.out.offset, len(data), zlib.crc32(data), len(labels), places.total("slot_rows"), places.total("bytes")
        )
        # Copies: a slice would keep all labels.
        self._firsts.append(labels.take(pa.array([0])))
        self._lasts.append(labels.take(pa.array([len(labels) - 1])))
        self.vector_count += len(labels)
        self.out.write(data)

    def _write(self, entry: Entry) -> tuple[int, ...]:
        vector = entry.vector
        rows = vector.count() if vector is not None else 0
        slot_rows = rows if entry.slot_rows is None else entry.slot_rows
        if vector is None or not rows:
            return 0, 0, 0, slot_rows, 0, 0
        assert vector.row_count == self._row_count, "a vector of another row count"
        data = vector.data
        if len(data) >= ALIGNED_BYTES:
            self.out.align()
        self.encoded[vector.encoding] += 1
        code = self._encodings.setdefault(vector.encoding, len(self._encodings))
        place = (self.out.offset, len(data), rows, slot_rows, zlib.crc32(data), code)
        self.out.write(data)
        return place


def read_footer(footer: bytes, file_bytes: int, place: str) -> tuple[int, int, int, int, int, int]:
    """Check a footer; gives version, rows, the root's offset, bytes and CRC-32, and the number of vectors."""
    if file_bytes < len(MAGIC) + FOOTER.size or len(footer) != FOOTER.size:
        raise BitmapCorruptError(f"{place}: {file_bytes} bytes are too few for an index segment")
    row_count, offset, length, vector_count, root_crc, footer_crc, magic = FOOTER.unpack(footer)
    if magic not in (MAGIC, MAGIC_1):
        raise BitmapCorruptError(f"{place}: not an index segment of version 1 or 2, or its end is missing")
    if zlib.crc32(FOOTER.pack(row_count, offset, length, vector_count, root_crc, 0, magic)) != footer_crc:
        raise BitmapCorruptError(f"{place}: the footer's checksum is wrong")
    if offset < len(MAGIC) or offset + length + FOOTER.size != file_bytes or row_count > ROW_ID_STOP:
        raise BitmapCorruptError(f"{place}: the directory does not lie before the footer")
    return 2 if magic == MAGIC else 1, row_count, offset, length, root_crc, vector_count


def read_root(data: bytes, row_count: int, stop: int, vector_count: int, place: str) -> Root:
    """Read a root whose checksum was right; `stop` is where the blocks end. Nothing in it is believed."""
    batch = _read_batch(data, place)
    try:
        stated = json.loads((batch.schema.metadata or {})[_META_KEY])
        meta = Meta(
            str(stated["column"]),
            str(stated["kind"]),
            str(stated["layout"]),
            str(stated["slots"]),
            int(stated["slot_count"]),
            tuple((int(first), int(last)) for first, last in stated["spans"]),
            int(stated["base"]),
        )
        encodings = tuple(str(name) for name in stated["encodings"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BitmapCorruptError(f"{place}: the directory cannot be read: {error}") from error
    offsets, lengths, checksums, counts, slot_rows, vector_bytes = _places(batch, _ROOT, [_FIRST, _LAST], place)
    if np.any(offsets < len(MAGIC)) or np.any(offsets > stop) or np.any(lengths > stop - offsets):
        raise BitmapCorruptError(f"{place}: a block of the directory lies outside the file")
    if sum(counts.tolist()) != vector_count or not 0 <= meta.slot_count <= vector_count:
        raise BitmapCorruptError(f"{place}: the directory names other vectors than the footer's {vector_count}")
    if len(meta.spans) not in (0, vector_count - meta.slot_count):
        raise BitmapCorruptError(f"{place}: {len(meta.spans)} spans for {vector_count - meta.slot_count} vectors")
    if any(not 0 <= first < last <= meta.slot_count for first, last in meta.spans):
        raise BitmapCorruptError(f"{place}: a span of slots lies outside the directory")
    ends = batch.column(_FIRST), batch.column(_LAST)
    return Root(
        meta, encodings, row_count, vector_count, offsets, lengths, checksums, counts, slot_rows, vector_bytes, *ends
    )


def read_block(data: bytes, count: int, stop: int, place: str) -> Places:
    """Read a block of the directory whose checksum was right; its vectors lie before `stop`."""
    batch = _read_batch(data, place)
    offsets, lengths, rows, slot_rows, checksums, encodings = _places(batch, _PLACES, [LABEL], place)
    if batch.num_rows != count:
        raise BitmapCorruptError(f"{place}: a block names {batch.num_rows} vectors, its root {count}")
    _require_inside(offsets, lengths, stop, place)
    return Places(offsets, lengths, rows, slot_rows, checksums, encodings, batch.column(LABEL))


def read_directory_1(data: bytes, row_count: int, stop: int, vector_count: int, place: str) -> tuple[Root, Places]:
    """Read the directory of a segment of version 1 as one block."""
    batch = _read_batch(data, place)
    try:
        stated = json.loads((batch.schema.metadata or {})[_META_KEY])
        column, kind, encoding = (str(stated[name]) for name in ("column", "kind", "encoding"))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BitmapCorruptError(f"{place}: the directory cannot be read: {error}") from error
    offsets, lengths, rows, checksums = _places(batch, _PLACES_1, [LABEL], place)
    if batch.num_rows != vector_count:
        raise BitmapCorruptError(f"{place}: the directory names {batch.num_rows} vectors, the footer {vector_count}")
    _require_inside(offsets, lengths, stop, place)
    labels = batch.column(LABEL)
    meta = Meta(column, kind, "equality", "values" if kind == "equality" else "bins", vector_count)
    root = Root(
        meta,
        (encoding,),
        row_count,
        vector_count,
        np.zeros(1, np.uint64),
        np.zeros(1, np.uint64),
        np.zeros(1, np.uint32),
        np.array([vector_count], np.uint32),
        np.array([sum(rows.tolist())], np.uint64),
        np.array([sum(lengths.tolist())], np.uint64),
        labels[:1],
        labels[-1:],
    )
    places = Places(offsets, lengths, rows, rows, checksums, np.zeros(vector_count, np.uint8), labels)
    return root, places


def _read_batch(data: bytes, place: str) -> pa.RecordBatch:
    try:
        with pa.ipc.open_stream(data) as reader:
            batch = reader.read_next_batch()
        batch.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, StopIteration) as error:
        raise BitmapCorruptError(f"{place}: the directory cannot be read: {error}") from error
    return batch


def _places(batch: pa.RecordBatch, types: Mapping[str, pa.DataType], labels: list[str], place: str) -> list[Any]:
    names, found = [*types, *labels], [one.type for one in batch.schema]
    if batch.schema.names != names or found[: len(types)] != list(types.values()):
        raise BitmapCorruptError(f"{place}: the directory has other columns: {batch.schema.names}")
    if any(batch.column(number).null_count for number in range(len(types))):
        raise BitmapCorruptError(f"{place}: the directory has nulls")
    return [batch.column(number).to_numpy(zero_copy_only=False) for number in range(len(types))]


def _require_inside(offsets: Counts, lengths: Counts, stop: int, place: str) -> None:
    # Compared without sums, which could overflow. What has no bytes lies nowhere.
    filled = lengths > 0
    outside = (offsets < len(MAGIC)) | (offsets > stop) | (lengths > np.uint64(stop) - np.minimum(offsets, stop))
    if np.any(outside & filled):
        raise BitmapCorruptError(f"{place}: a vector lies outside the file's vectors")
