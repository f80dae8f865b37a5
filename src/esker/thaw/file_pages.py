"""Rows of a plain Parquet file on a local disk, by the pages that hold them.

What a frozen data set's thaw does on any tier, for a file nobody froze: its offset index is read from the file itself,
and pages are brought and decoded some megabytes at a time, so that memory does not follow the writer's row groups.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.batch import cast_batch
from esker.core.cost import Cost
from esker.core.device_profile import DeviceProfile
from esker.core.extent import Extent
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.errors import InputFileError, PayloadCorruptError
from esker.formats.format import reading
from esker.formats.parquet_tail import END_BYTES, MAGIC, PAGED_CHUNKS_MAX, ParquetTail
from esker.thaw.group_read import ColumnRead, GroupRead
from esker.thaw.layout import Layout, PagedChunk
from esker.thaw.page_file import decode_pages, rows_in_pages
from esker.thaw.parquet_ranges import Fetched, PrefetchedFile, Spans

# Bytes of pages that are brought and decoded at a time.
PIECE_BYTES = 4 << 20
# Raw, put together as a file, and decoded.
COPIES_HELD = 3
# The offset index lies before the footer: most are found in so many last bytes.
_TAIL_BYTES = 64 << 10
# Nearly all of the wanted rows' neighbours are wanted, too: then rows are cut out of what was decoded, without a copy.
_SLICED_SHARE = 0.75

Ids = npt.NDArray[np.uint64]


class FilePages:
    """One Parquet file, of which single pages can be read; threads may share it.

    Its rows are numbered from `first_row`. InputFileError for a file that is damaged.
    """

    def __init__(self, path: Path, size_bytes: int, footer: pq.FileMetaData, first_row: int) -> None:
        self._path = path
        self._layout = Layout(_FileExtent(path, size_bytes, footer, first_row))

    def read_of(self, group: int, columns: Sequence[str], rows: RowSet, device: DeviceProfile) -> GroupRead:
        """Say what is read for `rows` of a row group: their pages, or all of it where that takes no longer."""
        with _reading(self._path):
            pages = GroupRead(self._layout, group, columns, rows)
            whole = GroupRead(self._layout, group, columns)
            if pages.whole or cost_of(pages, device).seconds >= cost_of(whole, device).seconds:
                return whole
            return pages

    def rows(self, read: GroupRead, schema: pa.Schema, piece_bytes: int, batch_rows: int) -> Iterator[RowBatch]:
        """Yield the rows that `read` was made for, in order; `schema` has those of its columns read by pages."""
        parts = [part for part in read.parts if part.paged is not None]
        stored = read.layout.footer.schema.to_arrow_schema()
        fields = {name: stored.field(name) for name in schema.names}
        with _reading(self._path), self._path.open("rb") as file:
            descriptor = file.fileno()
            decoders = [_Pages(part, descriptor, fields[part.column], str(self._path)) for part in parts]
            for ids in _pieces(read, parts, piece_bytes):
                rows = (ids - np.uint64(read.layout.rows_of(read.group)[0])).astype(np.int64)
                arrays = [decoder.take(rows) for decoder in decoders]
                batch = cast_batch(pa.RecordBatch.from_arrays(arrays, names=schema.names), schema)
                for start in range(0, len(ids), batch_rows):
                    yield RowBatch(ids[start : start + batch_rows], batch.slice(start, batch_rows))


def paged_columns(read: GroupRead) -> list[str]:
    """The columns of `read` of which single pages are read."""
    return [part.column for part in read.parts if part.paged is not None]


def held_bytes(read: GroupRead, piece_bytes: int) -> int:
    """How much memory reading by pages takes at a time."""
    largest = max((int(part.paged.pages.sizes.max()) for part in read.parts if part.paged is not None), default=0)
    return COPIES_HELD * max(min(piece_bytes, read.spans.length), largest)


def cost_of(read: GroupRead, device: DeviceProfile) -> Cost:
    """What reading from a local device costs, in ranges that are joined where a gap costs no more than a request."""
    ranges = read.spans.merged(device.gap_bytes)
    size_bytes = sum(part.length for part in ranges)
    seconds = len(ranges) * device.request_seconds + size_bytes / device.bytes_per_second
    return Cost(size_bytes, len(ranges), seconds=seconds)


def read_tail(path: Path, size_bytes: int) -> bytes:
    """Read a file's last bytes: its footer, and before it the offset indexes, if there are any."""
    with path.open("rb") as file:
        descriptor = file.fileno()
        tail = _read(descriptor, max(size_bytes - _TAIL_BYTES, 0), size_bytes, path)
        footer_bytes = int.from_bytes(tail[-END_BYTES:-4], "little") + END_BYTES
        if tail[-4:] != MAGIC or footer_bytes > size_bytes:
            raise InputFileError(f"{path} is damaged: its last bytes are not those of a Parquet file")
        if footer_bytes > len(tail):
            tail = _read(descriptor, size_bytes - footer_bytes, size_bytes, path)
        start = ParquetTail(tail, size_bytes).index_start()
        if start is not None and start < size_bytes - len(tail):
            tail = _read(descriptor, start, size_bytes, path)
    return tail


class _FileExtent:
    """A file as a layout wants it: its tail is read when first asked for."""

    def __init__(self, path: Path, size_bytes: int, footer: pq.FileMetaData, first_row: int) -> None:
        self.extent = Extent(str(path), first_row, int(footer.num_rows), size_bytes, "")
        self.footer = footer
        self._path = path

    @cached_property
    def tail(self) -> bytes:
        if self.footer.num_row_groups * self.footer.num_columns > PAGED_CHUNKS_MAX:
            return b""
        return read_tail(self._path, self.extent.bytes)


class _Decoded(NamedTuple):
    chosen: npt.NDArray[np.int64]
    column: pa.ChunkedArray


class _Pages:
    """A column of one row group, decoded piece by piece; the last piece is kept, as the next may begin in its page."""

    def __init__(self, part: ColumnRead, descriptor: int, field: pa.Field, name: str) -> None:
        assert part.paged is not None, "only columns with an offset index are read by pages"
        self._paged: PagedChunk = part.paged
        self._descriptor = descriptor
        self._field = field
        self._name = name
        self._last: _Decoded | None = None
        self._head = self._fetch(self._paged.head.start, self._paged.head.stop)

    def take(self, rows: npt.NDArray[np.int64]) -> pa.Array:
        """The values at `rows` of the row group, ascending."""
        first_rows = self._paged.pages.first_rows
        pages = np.searchsorted(first_rows[:-1], rows, "right") - 1
        chosen = pages[np.flatnonzero(np.diff(pages, prepend=-1))]
        if self._last is None or not np.array_equal(self._last.chosen, chosen):
            self._last = None  # freed before the next is decoded
            self._last = _Decoded(chosen, self._decode(chosen))
        return _picked(self._last.column, rows_in_pages(self._paged, chosen, rows))

    def _decode(self, chosen: npt.NDArray[np.int64]) -> pa.ChunkedArray:
        offsets = self._paged.pages.offsets[chosen]
        stops = offsets + self._paged.pages.sizes[chosen]
        fetched = [self._fetch(part.start, part.stop) for part in Spans(offsets, stops).merged(0)]
        file = PrefetchedFile(self._name, int(stops.max()), [self._head, *fetched])
        return decode_pages(self._paged, chosen, file, self._field)

    def _fetch(self, start: int, stop: int) -> Fetched:
        return Fetched(start, _read(self._descriptor, start, stop, Path(self._name)))


def _pieces(read: GroupRead, parts: Sequence[ColumnRead], piece_bytes: int) -> Iterator[Ids]:
    """Cut the wanted rows of a row group where pages of its largest column end, after about `piece_bytes` of them."""
    assert read.wanted is not None, "pages are read for some rows"
    lead = max(parts, key=lambda part: part.spans.length)
    assert lead.paged is not None and lead.chosen is not None, "only columns with an offset index are read by pages"
    first = read.layout.rows_of(read.group)[0]
    pages = lead.paged.pages
    begin, size = 0, 0
    for place, page in enumerate(lead.chosen.tolist()):
        size += int(pages.sizes[page])
        last = place + 1 == len(lead.chosen)
        if last or size + int(pages.sizes[lead.chosen[place + 1]]) > piece_bytes:
            start, stop = int(pages.first_rows[lead.chosen[begin]]), int(pages.first_rows[page + 1])
            ids = read.wanted.slice(first + start, first + stop).to_numpy()
            if len(ids):
                yield ids
            begin, size = place + 1, 0


def _picked(column: pa.ChunkedArray, places: npt.NDArray[np.int64]) -> pa.Array:
    """The values at `places`, ascending."""
    span = int(places[-1] - places[0]) + 1
    if span == len(places) and span >= _SLICED_SHARE * len(column):
        picked = column.slice(int(places[0]), span)
    else:
        picked = column.take(pa.array(places))
    return picked.chunk(0) if picked.num_chunks == 1 else pa.concat_arrays(picked.chunks)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what damaged bytes raise into an error that names the file."""
    try:
        with reading(path, "Parquet"):
            yield
    except PayloadCorruptError as error:
        raise InputFileError(f"{path} is damaged: {error}") from error


def _read(descriptor: int, start: int, stop: int, path: Path) -> bytes:
    data = os.pread(descriptor, stop - start, start)
    while len(data) < stop - start:
        more = os.pread(descriptor, stop - start - len(data), start + len(data))
        if not more:
            raise InputFileError(f"{path} ends early: bytes {start:,} to {stop:,} are not all there")
        data += more
    return data
