"""The end of a Parquet file: its footer as Thrift, and the offset index, which says where each page lies.

pyarrow writes the page index and does not give it out (arrow issue 45284), so it is read here. Nothing in it is
trusted: every offset lies within its column chunk, every page after the one before, every row within the row group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from esker.core.extent import ByteRange
from esker.errors import PayloadCorruptError
from esker.formats.compact_thrift import STRUCT, Reader, Struct, integer_of, struct_of, structs_of

MAGIC = b"PAR1"
# With more column chunks than this, pages are so small that whole chunks may as well be read, and the footer so long
# that reading it here takes longer than is won.
PAGED_CHUNKS_MAX = 4096
# After the footer: its length in four bytes, and the magic.
END_BYTES = 8

# A PageLocation as every writer makes it: headers of its three fields, each before a varint, then the end.
_LOCATION_TOKENS = 7
_LOCATION_HEADERS = {0: 0x16, 2: 0x15, 4: 0x16, 6: 0x00}
_VARINT_BYTES_MAX = 10


@dataclass(frozen=True)
class Pages:
    """Where the data pages of a column chunk lie: `offsets` and `sizes` in the file, header included.

    `first_rows` is the row of the row group each begins at, and the group's row count at the end.
    """

    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    first_rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True)
class Leaf:
    """A leaf column: its path's schema elements from below the root, as the footer has them."""

    elements: Sequence[Struct]

    @property
    def max_repetition(self) -> int:
        """How many of the path's elements are repeated; a flat column has none."""
        return sum(integer_of(element, 3) == 2 for element in self.elements if 3 in element)


class ParquetTail:
    """The last bytes of a file of `file_bytes`: its footer, and before it as much of the page index as there is.

    Threads may share it.
    """

    def __init__(self, tail: bytes, file_bytes: int) -> None:
        if len(tail) < END_BYTES or tail[-4:] != MAGIC or len(tail) > file_bytes:
            raise PayloadCorruptError("these bytes are not the end of a Parquet file")
        self._footer_start = len(tail) - END_BYTES - int.from_bytes(tail[-8:-4], "little")
        if self._footer_start < 0:
            raise PayloadCorruptError("a Parquet footer claims to be longer than what there is of it")
        self._tail = tail
        self._start = file_bytes - len(tail)

    @cached_property
    def footer(self) -> Struct:
        """The FileMetaData."""
        return Reader(memoryview(self._tail)[: len(self._tail) - END_BYTES], self._footer_start).struct()

    @property
    def root(self) -> Struct:
        """The schema's first element."""
        elements = structs_of(self.footer, 2)
        if not elements:
            raise PayloadCorruptError("the schema of a Parquet footer is damaged")
        return elements[0]

    @cached_property
    def leaves(self) -> Sequence[Leaf]:
        """The leaf columns, in the order of the column chunks."""
        elements = structs_of(self.footer, 2)
        leaves: list[Leaf] = []
        # Each open element: how many children are still to come, and itself.
        path: list[tuple[int, Struct]] = []
        for number, element in enumerate(elements):
            children = integer_of(element, 5) if 5 in element else 0
            if children < 0 or (number and not path):
                raise PayloadCorruptError("the schema of a Parquet footer is damaged")
            if children:
                path.append((children, element))
                continue
            leaves.append(Leaf([*(above for _, above in path[1:]), element]))
            while path:
                left, above = path.pop()
                if left > 1:
                    path.append((left - 1, above))
                    break
        return leaves

    def chunk(self, group: int, leaf: int) -> Struct:
        """Give the ColumnChunk of a row group."""
        groups = structs_of(self.footer, 4)
        if not 0 <= group < len(groups):
            raise PayloadCorruptError(f"a Parquet footer has no row group {group}")
        chunks = structs_of(groups[group], 1)
        if not 0 <= leaf < len(chunks) or len(chunks) != len(self.leaves):
            raise PayloadCorruptError(f"row group {group} of a Parquet footer has no column {leaf}")
        found: Struct = chunks[leaf]
        return found

    def metadata(self, group: int, leaf: int) -> Struct:
        """Give the ColumnMetaData of a row group."""
        return struct_of(self.chunk(group, leaf), 3)

    def index_start(self) -> int | None:
        """Give the first byte of the file that an offset index takes; None without any."""
        starts = [
            integer_of(chunk, 4)
            for group in structs_of(self.footer, 4)
            for chunk in structs_of(group, 1)
            if 4 in chunk and 5 in chunk and integer_of(chunk, 5) > 0
        ]
        if not starts:
            return None
        if not 0 < min(starts) <= self._start + self._footer_start:
            raise PayloadCorruptError("a Parquet footer puts its offset index outside of the file")
        return min(starts)

    def pages(self, group: int, leaf: int, within: ByteRange) -> Pages | None:
        """Read where the pages of a column chunk lie, all inside of `within`; None where there is no offset index."""
        chunk = self.chunk(group, leaf)
        if 4 not in chunk or 5 not in chunk or not integer_of(chunk, 5):
            return None
        start, length = integer_of(chunk, 4) - self._start, integer_of(chunk, 5)
        if start < 0:
            # The index is there, but not in these last bytes.
            return None
        if length < 0 or start + length > self._footer_start:
            raise PayloadCorruptError("a Parquet footer puts an offset index outside of the file")
        row_count = integer_of(structs_of(self.footer, 4)[group], 3)
        return read_offset_index(memoryview(self._tail)[start : start + length], within, row_count)


def read_offset_index(data: bytes | memoryview, within: ByteRange, row_count: int) -> Pages:
    """Read an OffsetIndex; every page lies in `within`, after the one before, and begins at a row below `row_count`."""
    locations = _read_regular(data)
    if locations is None:
        locations = _read_any(data)
    offsets, sizes, rows = locations
    pages = Pages(offsets, sizes, np.append(rows, row_count))
    _check_pages(pages, within)
    return pages


def _check_pages(pages: Pages, within: ByteRange) -> None:
    offsets, sizes, rows = pages.offsets, pages.sizes, pages.first_rows
    # pyarrow ends some chunks of lists with a page that has no rows.
    if not len(offsets) or rows[0] or (np.diff(rows) < 0).any():
        raise PayloadCorruptError("an offset index is damaged: its pages' rows do not follow one another")
    # Sizes and offsets are below 2**63 each; compared so that no sum can overflow.
    inside = (offsets >= within.start) & (sizes > 0) & (offsets <= within.stop) & (sizes <= within.stop - offsets)
    if not inside.all() or (np.diff(offsets) < sizes[:-1]).any():
        raise PayloadCorruptError("an offset index is damaged: a page lies outside of its column, or on another page")


Locations = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _read_any(data: bytes | memoryview) -> Locations:
    """Read an OffsetIndex field by field, however it was written."""
    locations = structs_of(Reader(data).struct(), 1)
    found = [[integer_of(location, field) for location in locations] for field in (1, 2, 3)]
    if any(not -(1 << 63) <= value < 1 << 63 for values in found for value in values):
        raise PayloadCorruptError("an offset index is damaged: an offset of more than 64 bits")
    offsets, sizes, rows = (np.array(values, np.int64) for values in found)
    return offsets, sizes, rows


def _read_regular(data: bytes | memoryview) -> Locations | None:
    """Read an OffsetIndex whose locations look as all writers make them, at once; None for any other.

    Every byte without the high bit ends a varint or is a field's header, so a location is seven such tokens.
    """
    raw = np.frombuffer(data, np.uint8)
    # Field 1, a list; its length, of structs. What follows it is sizes of texts, which nobody here asks for.
    if len(raw) < 3 or raw[0] != 0x19:
        return None
    reader = Reader(data, 2)
    count = int(raw[1] >> 4)
    if raw[1] & 0x0F != STRUCT:
        return None
    if count == 15:
        count = reader.varint()
    body = raw[reader.position :]
    ends = np.flatnonzero(body < 0x80)
    token_count = count * _LOCATION_TOKENS
    # One token more at least: the end of the OffsetIndex.
    if not count or len(ends) <= token_count:
        return None
    ends = ends[:token_count]
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _VARINT_BYTES_MAX:
        return None
    for token, header in _LOCATION_HEADERS.items():
        places = starts[token:token_count:_LOCATION_TOKENS]
        if (lengths[token:token_count:_LOCATION_TOKENS] != 1).any() or (body[places] != header).any():
            return None
    values = [
        _varints(body, starts[token:token_count:_LOCATION_TOKENS], lengths[token:token_count:_LOCATION_TOKENS])
        for token in (1, 3, 5)
    ]
    if any(value is None for value in values):
        return None
    offsets, sizes, rows = (value for value in values if value is not None)
    return offsets, sizes, rows


def _varints(
    body: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64] | None:
    """Decode zigzag varints; None when one has more than 63 bits, which no offset has."""
    coded = np.zeros(len(starts), np.uint64)
    for number in range(int(lengths.max())):
        there = lengths > number
        byte = body[starts[there] + number].astype(np.uint64) & np.uint64(0x7F)
        if number == _VARINT_BYTES_MAX - 1 and byte.any():
            return None
        coded[there] |= byte << np.uint64(7 * number)
    signs = (coded & np.uint64(1)).astype(np.int64)
    return (coded >> np.uint64(1)).astype(np.int64) ^ -signs
