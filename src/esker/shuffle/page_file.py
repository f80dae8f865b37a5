"""Pages of a shuffle between processes, in files: what a map task leaves, and how it is read back.

    +-----------+-------------+--------+------+--------+------+-----
    | ESKERPGS  | schema: u32 | schema | zero | page 0 | zero | ...
    +-----------+-------------+--------+------+--------+------+-----

A page is one Arrow IPC record batch message, or, of columns that a message alone does not hold (dictionaries, views),
an IPC stream of one batch. It begins at a multiple of 64 bytes. Where pages are, and their
checksums, is not in the file: the map task tells it, and whoever reads a page has to know.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.batch import packed, unpacked
from esker.errors import PageCorruptError

_HEAD = struct.Struct("<8sI")
_MAGIC = b"ESKERPGS"
_ALIGNMENT = 64

Longs = npt.NDArray[np.int64]


class PageId(NamedTuple):
    """Names a page of a shuffle, however often it is made: rows of two pages with one name are the same rows."""

    map_number: int
    partition: int
    sequence: int


class Page(NamedTuple):
    """Where a page lies in its file."""

    id: PageId
    offset: int
    length: int
    rows: int
    checksum: int


@dataclass(frozen=True)
class Segment:
    """The pages of one partition in the file of one map task: offset, length, rows and checksum of each."""

    shuffle: str
    map_number: int
    node: str
    name: str
    partition: int
    # Plain tuples: thousands of them go with a task.
    places: tuple[tuple[int, int, int, int], ...]

    @property
    def pages(self) -> tuple[Page, ...]:
        """The pages, with their names."""
        return tuple(
            Page(PageId(self.map_number, self.partition, number), *place) for number, place in enumerate(self.places)
        )


@dataclass(frozen=True, eq=False)
class MapOutput:
    """What a map task left: a file at a node, and its pages in the order of partitions. Small, and pickles."""

    shuffle: str
    map_number: int
    node: str
    name: str
    starts: Longs  # of each partition in the arrays below, and the end of the last
    offsets: Longs
    lengths: Longs
    rows: Longs
    checksums: Longs
    partition_bytes: Longs

    def segment(self, partition: int) -> Segment | None:
        """The pages of a partition, or None where there are none."""
        first, stop = int(self.starts[partition]), int(self.starts[partition + 1])
        if first == stop:
            return None
        columns = (self.offsets, self.lengths, self.rows, self.checksums)
        places = tuple(zip(*(column[first:stop].tolist() for column in columns), strict=True))
        return Segment(self.shuffle, self.map_number, self.node, self.name, partition, places)

    @property
    def partition_rows(self) -> Longs:
        """Rows of each partition."""
        summed = np.concatenate(([0], np.cumsum(self.rows)))
        rows: Longs = summed[self.starts[1:]] - summed[self.starts[:-1]]
        return rows

    @property
    def page_bytes(self) -> int:
        """What all pages take."""
        return int(self.lengths.sum())


class PageWriter:
    """Writes the pages of one map task, partition by partition, under a name that shows when all are there.

    A context manager: leaving it by an error leaves no file.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, partition_count: int) -> None:
        self._path = folder / name
        self._aside = folder / f"{name}.aside"
        self._partition_count = partition_count
        self._sealed = is_sealed(schema)
        self._pages: list[tuple[int, int, int, int]] = []
        self._counts = np.zeros(partition_count, np.int64)
        self._partition = 0
        fd = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(fd, "wb", buffering=1 << 20)
        words = schema.serialize()
        self._file.write(_HEAD.pack(_MAGIC, words.size))
        self._file.write(words)
        self._place = _HEAD.size + words.size

    def write(self, partition: int, batch: pa.RecordBatch) -> None:
        """Add a page of `partition`; partitions come in their order."""
        assert self._partition <= partition < self._partition_count, "partitions come in their order"
        self._partition = partition
        self._pad()
        page = packed(batch) if self._sealed else batch.serialize()
        self._file.write(page)
        self._pages.append((self._place, page.size, batch.num_rows, zlib.crc32(page)))
        self._counts[partition] += 1
        self._place += page.size

    def finish(self, shuffle: str, map_number: int, node: str, partition_bytes: list[int]) -> MapOutput:
        """Let others find the file."""
        self._file.close()
        self._aside.rename(self._path)
        offsets, lengths, rows, checksums = np.array(self._pages, np.int64).reshape(-1, 4).T
        starts = np.concatenate(([0], np.cumsum(self._counts)))
        sizes = np.array(partition_bytes, np.int64)
        return MapOutput(shuffle, map_number, node, self._path.name, starts, offsets, lengths, rows, checksums, sizes)

    def __enter__(self) -> PageWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:
            self._file.close()
            self._aside.unlink(missing_ok=True)

    def _pad(self) -> None:
        gap = -self._place % _ALIGNMENT
        self._file.write(bytes(gap))
        self._place += gap


class PageFile:
    """A file of pages, mapped; FileNotFoundError when it is not there, PageCorruptError when it is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size < _HEAD.size:
                raise self._damaged("it is too short")
            # Mapped: the system may take the bytes back, so they cost no memory of a budget.
            self._data = pa.py_buffer(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
        finally:
            os.close(fd)
        magic, size = _HEAD.unpack(memoryview(self._data)[: _HEAD.size])
        if magic != _MAGIC or size > self._data.size - _HEAD.size:
            raise self._damaged("it does not begin as one")
        try:
            self.schema: pa.Schema = pa.ipc.read_schema(self._data.slice(_HEAD.size, size))
        except (pa.ArrowException, OSError) as error:
            raise self._damaged("its schema cannot be read") from error

    def read(self, offset: int, length: int, checksum: int) -> pa.RecordBatch:
        """The rows of a page; PageCorruptError when these bytes are not the page."""
        return decoded(self.bytes_of(offset, length, checksum), self.schema, str(self._path))

    @property
    def sent_schema(self) -> pa.Schema:
        """The columns of what goes out for a page."""
        return SEALED if is_sealed(self.schema) else self.schema

    def sent(self, offset: int, length: int, checksum: int) -> pa.RecordBatch:
        """What goes out for a page: its rows, or its bytes where rows do not come out of a stream as they went in."""
        if not is_sealed(self.schema):
            return self.read(offset, length, checksum)
        page = self.bytes_of(offset, length, checksum)
        offsets = pa.py_buffer(np.array([0, page.size], np.int64))
        return pa.record_batch(
            [pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, offsets, page])], schema=SEALED
        )

    def bytes_of(self, offset: int, length: int, checksum: int) -> pa.Buffer:
        """The bytes of a page; PageCorruptError when they are not those that were written."""
        if not 0 <= offset <= offset + length <= self._data.size:
            raise self._damaged(f"it ends before byte {offset + length:,}")
        page = self._data.slice(offset, length)
        if zlib.crc32(page) != checksum:
            raise self._damaged(f"the checksum of the page at byte {offset:,} is wrong")
        return page

    def _damaged(self, why: str) -> PageCorruptError:
        return PageCorruptError(f"{self._path} is no file of pages of a shuffle: {why}")


def decoded(page: Any, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """Read the rows of a page that has its checksum; they are checked whole before anybody may look at them."""
    try:
        batch = _unsealed(page) if is_sealed(schema) else pa.ipc.read_record_batch(page, schema)
        if not batch.schema.equals(schema):
            raise PageCorruptError(f"a page of {where} has other columns than its shuffle")
        batch.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PageCorruptError(f"a page of {where} cannot be read: {error}") from error
    return batch


def _unsealed(page: Any) -> pa.RecordBatch:
    table = unpacked(page)
    (batch,) = table.to_batches() or [_empty(table.schema)]
    return batch


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def received(page: Page, batch: pa.RecordBatch, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """The rows of what came for `page` from another machine; PageCorruptError when it is something else."""
    sealed = is_sealed(schema)
    if not batch.schema.equals(SEALED if sealed else schema) or (sealed and batch.num_rows != 1):
        raise PageCorruptError(f"{where} gave other columns than those of page {tuple(page.id)}")
    data = batch.column(0)[0].as_buffer() if sealed else batch.serialize()
    if zlib.crc32(data) != page.checksum:
        raise PageCorruptError(f"{where} gave other rows than those of page {tuple(page.id)}")
    if sealed:
        batch = decoded(data, schema, where)
    else:
        batch.validate(full=True)
    if batch.num_rows != page.rows:
        raise PageCorruptError(f"{where} gave {batch.num_rows} rows for page {tuple(page.id)} of {page.rows}")
    return batch


#: What goes out for pages whose bytes are sent as they are.
SEALED = pa.schema([pa.field("page", pa.large_binary(), nullable=False)])


def is_sealed(schema: pa.Schema) -> bool:
    """Whether pages of such columns are sent as bytes: a dictionary is no part of a message, views are cut anew.

    >>> is_sealed(pa.schema({"a": pa.list_(pa.string())})), is_sealed(pa.schema({"a": pa.list_(pa.string_view())}))
    (False, True)
    """
    return not all(_is_plain(field.type) for field in schema)


def _is_plain(type_: pa.DataType) -> bool:
    types = pa.types
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return _is_plain(type_.value_type)
    if types.is_struct(type_):
        return all(_is_plain(type_.field(number).type) for number in range(type_.num_fields))
    strings = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(kind(type_) for kind in (*strings, types.is_primitive))


def credits_of(pages: tuple[Page, ...], bytes_max: int) -> Iterator[tuple[Page, ...]]:
    """Cut pages into runs of at most `bytes_max` bytes (or one page): what a reader asks for at once.

    >>> pages = tuple(Page(PageId(0, 0, n), n, 40, 1, 0) for n in range(5))
    >>> [len(run) for run in credits_of(pages, 100)]
    [2, 2, 1]
    """
    first, size = 0, 0
    for number, page in enumerate(pages):
        if size and size + page.length > bytes_max:
            yield pages[first:number]
            first, size = number, 0
        size += page.length
    if first < len(pages):
        yield pages[first:]
