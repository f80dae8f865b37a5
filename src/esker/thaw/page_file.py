"""Decoding single pages: a Parquet file of one column and the chosen pages is put together, and pyarrow reads it."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from esker.errors import PayloadCorruptError
from esker.formats.compact_thrift import (
    BINARY,
    I32,
    I64,
    LIST,
    STRUCT,
    Reader,
    ThriftList,
    Typed,
    integer_of,
    struct_of,
    write_struct,
)
from esker.formats.parquet_tail import MAGIC
from esker.thaw.layout import PagedChunk
from esker.thaw.parquet_ranges import PrefetchedFile

# PageHeader: type, uncompressed size, compressed size; headers of either version of data page.
_TYPE, _COMPRESSED, _DATA_PAGE, _DATA_PAGE_V2 = 1, 3, 5, 8
_DATA_TYPES = {0: _DATA_PAGE, 3: _DATA_PAGE_V2}


def decode_pages(
    chunk: PagedChunk, chosen: npt.NDArray[np.int64], file: PrefetchedFile, field: pa.Field
) -> pa.ChunkedArray:
    """Decode the `chosen` pages of a column, of which `file` has the bytes; rows come in order.

    The file made for it has the chunk's dictionary, the pages as they are, and a footer that speaks of them alone.
    Pages carry their checksums along. PayloadCorruptError when they do not have the rows that the index says.
    """
    pages = chunk.pages
    row_count = int((pages.first_rows[chosen + 1] - pages.first_rows[chosen]).sum())
    head = file.view(chunk.head.start, chunk.head.stop)
    body = [file.view(start, stop) for start, stop in _stretches(pages.offsets[chosen], pages.sizes[chosen])]
    value_count = row_count
    if chunk.leaf.max_repetition:
        value_count = sum(
            _page_values(file.view(offset, offset + size))
            for offset, size in zip(pages.offsets[chosen].tolist(), pages.sizes[chosen].tolist(), strict=True)
        )
    body_bytes = sum(map(len, body))
    footer = _footer(chunk, len(head), body_bytes, row_count, value_count, field)
    whole = b"".join([MAGIC, head, *body, footer, len(footer).to_bytes(4, "little"), MAGIC])
    with pq.ParquetFile(pa.BufferReader(whole), pre_buffer=False, page_checksum_verification=True) as made:
        found: pa.ChunkedArray = made.read(use_threads=False).column(0)
    if len(found) != row_count:
        raise PayloadCorruptError(
            f"pages of column {field.name!r} hold {len(found):,} rows; their offset index says {row_count:,}"
        )
    return found


def rows_in_pages(
    chunk: PagedChunk, chosen: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Say where rows of the row group, ascending, lie among those of the chosen pages."""
    first_rows = chunk.pages.first_rows
    lengths = first_rows[chosen + 1] - first_rows[chosen]
    before = np.cumsum(lengths) - lengths
    page = np.searchsorted(first_rows[chosen], rows, "right") - 1
    places: npt.NDArray[np.int64] = rows - first_rows[chosen][page] + before[page]
    return places


def _stretches(offsets: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> Sequence[tuple[int, int]]:
    """Join pages that lie side by side."""
    stops = offsets + sizes
    begins = np.flatnonzero(np.concatenate(([True], offsets[1:] != stops[:-1])))
    ends = np.append(begins[1:], len(offsets)) - 1
    return [*zip(offsets[begins].tolist(), stops[ends].tolist(), strict=True)]


def _page_values(page: memoryview) -> int:
    """Read how many values a data page has; of a column with repetition those are not its rows."""
    reader = Reader(page)
    header = reader.struct()
    detail = _DATA_TYPES.get(integer_of(header, _TYPE))
    if detail is None:
        raise PayloadCorruptError("an offset index names a page that is none of data")
    compressed, values = integer_of(header, _COMPRESSED), integer_of(struct_of(header, detail), 1)
    if compressed != len(page) - reader.position or values < 0:
        raise PayloadCorruptError(
            f"a page says that it has {compressed:,} bytes; its offset index leaves {len(page) - reader.position:,}"
        )
    return values


def _footer(
    chunk: PagedChunk, head_bytes: int, body_bytes: int, row_count: int, value_count: int, field: pa.Field
) -> bytes:
    start = len(MAGIC)
    total = Typed(I64, head_bytes + body_bytes)
    metadata = {
        **chunk.metadata,
        5: Typed(I64, value_count),
        6: total,
        7: total,
        9: Typed(I64, start + head_bytes),
    }
    if head_bytes:
        metadata[11] = Typed(I64, start)
    column = {2: Typed(I64, start), 3: Typed(STRUCT, metadata)}
    group = {1: Typed(LIST, ThriftList(STRUCT, [column])), 2: total, 3: Typed(I64, row_count)}
    root = {**chunk.root, 5: Typed(I32, 1)}
    arrow_schema = base64.b64encode(pa.schema([field]).serialize())
    key_value = {1: Typed(BINARY, b"ARROW:schema"), 2: Typed(BINARY, arrow_schema)}
    return write_struct(
        {
            **chunk.file,
            2: Typed(LIST, ThriftList(STRUCT, [root, *chunk.leaf.elements])),
            3: Typed(I64, row_count),
            4: Typed(LIST, ThriftList(STRUCT, [group])),
            5: Typed(LIST, ThriftList(STRUCT, [key_value])),
        }
    )
