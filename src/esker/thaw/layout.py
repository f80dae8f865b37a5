"""Where the rows and columns of one extent lie, as its Parquet footer says; the footer is not trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from esker.core.extent import ByteRange, Extent
from esker.core.row_set import RowSet
from esker.errors import CatalogCorruptError, UnknownColumnError
from esker.formats.compact_thrift import BINARY, I32, LIST, Struct
from esker.formats.parquet_tail import PAGED_CHUNKS_MAX, Leaf, Pages, ParquetTail


class ExtentLike(Protocol):
    """An extent and its last bytes; they may be read when first asked for.

    `tail` has the footer too, as it lies in the file, and the offset indexes before it where there are any.
    """

    @property
    def extent(self) -> Extent: ...
    @property
    def footer(self) -> pq.FileMetaData: ...
    @property
    def tail(self) -> bytes: ...


@dataclass(frozen=True)
class PayloadExtent:
    """An extent with its Parquet footer at hand, so that planning reads nothing from the tier.

    Without its `tail` it is read by row groups.
    """

    extent: Extent
    footer: pq.FileMetaData
    tail: bytes = b""


# Of FileMetaData: version and writer. Of ColumnMetaData: type, encodings, path, codec.
_FILE_FIELDS = frozenset({(1, I32), (6, BINARY)})
_CHUNK_FIELDS = frozenset({(1, I32), (2, LIST), (3, LIST), (4, I32)})


class Chunk(NamedTuple):
    """A column chunk, dictionary page included: where it lies and how big it is when decoded."""

    range: ByteRange
    decoded_bytes: int


class PagedChunk(NamedTuple):
    """A column chunk whose pages can be read one by one, with what it takes to decode them.

    `head` is what of the chunk comes before its data pages: its dictionary, if it has one. `file` are the fields of
    the footer that hold for the whole file, `metadata` those for this chunk.
    """

    head: ByteRange
    pages: Pages
    leaf: Leaf
    root: Struct
    file: Struct
    metadata: Struct


class Layout:
    """One extent's row groups, column chunks and pages. Keeps what it worked out; threads may share it."""

    def __init__(self, source: ExtentLike) -> None:
        self.extent = source.extent
        self.source = source
        self._chunks: dict[tuple[int, int], Chunk] = {}
        self._paged: dict[tuple[int, int], PagedChunk | None] = {}

    @cached_property
    def footer(self) -> pq.FileMetaData:
        """The Parquet footer, whose row count agrees with the extent's."""
        footer = self.source.footer
        if footer.num_rows != self.extent.row_count:
            raise self._damaged(f"counts {footer.num_rows:,} rows, the catalogue {self.extent.row_count:,}")
        return footer

    @property
    def tail(self) -> bytes:
        """The extent's last bytes, as ExtentLike has them."""
        return self.source.tail

    @cached_property
    def group_starts(self) -> npt.NDArray[np.uint64]:
        """The row id each row group starts at, and the extent's row stop at the end."""
        counts = [self.footer.row_group(group).num_rows for group in range(self.footer.num_row_groups)]
        if min(counts, default=0) < 0 or sum(counts) != self.extent.row_count:
            raise self._damaged("has row groups that do not add up to its rows")
        return np.array([*accumulate(counts, initial=self.extent.first_row)], np.uint64)

    @property
    def group_count(self) -> int:
        """How many row groups."""
        return int(self.footer.num_row_groups)

    def groups(self, rows: RowSet) -> Sequence[int]:
        """Give the row groups that hold a row of `rows`."""
        within = rows.slice(self.extent.first_row, self.extent.row_stop)
        if not within:
            return ()
        return [int(group) for group in np.flatnonzero(touched(self.group_starts, within))]

    def rows_of(self, group: int) -> tuple[int, int]:
        """Give the first row id of a row group, and one past its last."""
        return int(self.group_starts[group]), int(self.group_starts[group + 1])

    def chunks(self, group: int, columns: Sequence[str]) -> Sequence[Chunk]:
        """Give the column chunks of a row group, in the order they lie."""
        leaves = dict.fromkeys(leaf for column in columns for leaf in self.leaves(column))
        return sorted(self._chunk(group, leaf) for leaf in leaves)

    def leaves(self, column: str) -> Sequence[int]:
        """Number the leaf columns that pyarrow reads when asked for `column`: it, and all paths below it."""
        if column not in self._leaves:
            names = dict.fromkeys(path.partition(".")[0] for path in self._leaves)
            raise UnknownColumnError.of(column, names, f"extent {self.extent.key!r}")
        return self._leaves[column]

    @cached_property
    def _leaves(self) -> dict[str, list[int]]:
        """The leaves of each path and of all it begins with: those of `a.b` are leaves of `a`, too."""
        schema = self.footer.schema
        leaves: dict[str, list[int]] = {}
        for leaf in range(self.footer.num_columns):
            for path in accumulate(schema.column(leaf).path.split("."), "{}.{}".format):
                leaves.setdefault(path, []).append(leaf)
        return leaves

    def paged(self, group: int, column: str) -> PagedChunk | None:
        """Give a column's pages in a row group; None where it is read by whole chunks.

        That is so without an offset index, for columns of several leaves, whose pages do not end at the same rows,
        and in files of very many chunks.
        """
        leaves = self.leaves(column)
        if len(leaves) != 1 or self.group_count * int(self.footer.num_columns) > PAGED_CHUNKS_MAX:
            return None
        place = group, leaves[0]
        if place not in self._paged:
            self._paged[place] = self._find_pages(*place)
        return self._paged[place]

    def _find_pages(self, group: int, leaf: int) -> PagedChunk | None:
        tail = _opened_tail(self)
        if tail is None or not self.footer.row_group(group).num_rows:
            return None
        chunk = self._chunk(group, leaf).range
        pages = tail.pages(group, leaf, chunk)
        if pages is None:
            return None
        metadata = tail.metadata(group, leaf)
        return PagedChunk(
            ByteRange(chunk.start, int(pages.offsets[0])),
            pages,
            tail.leaves[leaf],
            tail.root,
            {field: value for field, value in tail.footer.items() if (field, value.kind) in _FILE_FIELDS},
            {field: value for field, value in metadata.items() if (field, value.kind) in _CHUNK_FIELDS},
        )

    def _chunk(self, group: int, leaf: int) -> Chunk:
        if (group, leaf) not in self._chunks:
            column = self.footer.row_group(group).column(leaf)
            start = column.data_page_offset
            # Zero is what some writers put where there is no dictionary page.
            if column.dictionary_page_offset:
                start = min(start, column.dictionary_page_offset)
            stop = start + column.total_compressed_size
            if not 4 <= start <= stop <= self.extent.bytes or column.total_uncompressed_size < 0:
                raise self._damaged(f"puts column {column.path_in_schema!r} of row group {group} outside the extent")
            self._chunks[group, leaf] = Chunk(ByteRange(start, stop), column.total_uncompressed_size)
        return self._chunks[group, leaf]

    def _damaged(self, what: str) -> CatalogCorruptError:
        return CatalogCorruptError(f"the footer of extent {self.extent.key!r} in the catalogue is damaged: it {what}")


def touched(bounds: npt.NDArray[np.uint64], rows: RowSet) -> npt.NDArray[np.bool_]:
    """Say which stretches between neighbouring `bounds` hold a row of `rows`, all of which lie within them."""
    starts, stops = rows.runs()
    # A run touches the stretches from the one it starts in to the one its last row is in.
    first = np.searchsorted(bounds, starts, "right") - 1
    last = np.searchsorted(bounds, stops - np.uint64(1), "right") - 1
    edges = np.zeros(len(bounds), np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, last + 1, -1)
    return (np.cumsum(edges[:-1]) > 0) & (np.diff(bounds) > 0)


@lru_cache(maxsize=2)
def _opened_tail(layout: Layout) -> ParquetTail | None:
    """Read an extent's last bytes; kept for a moment only, since a footer as Python objects is large."""
    tail = layout.tail
    return ParquetTail(tail, layout.extent.bytes) if tail else None
