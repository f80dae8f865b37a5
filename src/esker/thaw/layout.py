"""Where the rows and columns of one extent lie, as its Parquet footer says; the footer is not trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from esker.core.extent import ByteRange, Extent
from esker.core.row_set import RowSet
from esker.errors import CatalogCorruptError, UnknownColumnError


class ExtentLike(Protocol):
    """An extent and its footer; the footer may be read when first asked for."""

    @property
    def extent(self) -> Extent: ...
    @property
    def footer(self) -> pq.FileMetaData: ...


@dataclass(frozen=True)
class PayloadExtent:
    """An extent with its Parquet footer at hand, so that planning reads nothing from the tier."""

    extent: Extent
    footer: pq.FileMetaData


class Chunk(NamedTuple):
    """A column chunk, dictionary page included: where it lies and how big it is when decoded."""

    range: ByteRange
    decoded_bytes: int


class Layout:
    """One extent's row groups and column chunks. Keeps what it worked out; threads may share it."""

    def __init__(self, source: ExtentLike) -> None:
        self.extent = source.extent
        self._source = source
        self._chunks: dict[tuple[int, int], Chunk] = {}
        self._leaves: dict[str, Sequence[int]] = {}

    @cached_property
    def footer(self) -> pq.FileMetaData:
        """The Parquet footer, whose row count agrees with the extent's."""
        footer = self._source.footer
        if footer.num_rows != self.extent.row_count:
            raise self._damaged(f"counts {footer.num_rows:,} rows, the catalogue {self.extent.row_count:,}")
        return footer

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
        starts, stops = within.runs()
        # A run touches the groups from the one it starts in to the one its last row is in.
        first = np.searchsorted(self.group_starts, starts, "right") - 1
        last = np.searchsorted(self.group_starts, stops - np.uint64(1), "right") - 1
        edges = np.zeros(self.group_count + 1, np.int64)
        np.add.at(edges, first, 1)
        np.add.at(edges, last + 1, -1)
        touched = np.cumsum(edges[:-1]) > 0
        return [int(group) for group in np.flatnonzero(touched & (np.diff(self.group_starts) > 0))]

    def chunks(self, group: int, columns: Sequence[str]) -> Sequence[Chunk]:
        """Give the column chunks of a row group, in the order they lie."""
        leaves = dict.fromkeys(leaf for column in columns for leaf in self.leaves(column))
        return sorted(self._chunk(group, leaf) for leaf in leaves)

    def leaves(self, column: str) -> Sequence[int]:
        """Number the leaf columns that pyarrow reads when asked for `column`: it, and all paths below it."""
        if column not in self._leaves:
            paths = [self.footer.schema.column(leaf).path for leaf in range(self.footer.num_columns)]
            below = column + "."
            self._leaves[column] = [leaf for leaf, path in enumerate(paths) if path == column or path.startswith(below)]
            if not self._leaves[column]:
                names = dict.fromkeys(path.partition(".")[0] for path in paths)
                raise UnknownColumnError.of(column, names, f"extent {self.extent.key!r}")
        return self._leaves[column]

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
