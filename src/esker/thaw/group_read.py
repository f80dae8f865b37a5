"""What is read of one row group: of every column whole chunks, or the pages that hold wanted rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from esker.core.row_set import RowSet
from esker.thaw.layout import Layout, PagedChunk, touched
from esker.thaw.parquet_ranges import Spans


@dataclass(frozen=True)
class ColumnRead:
    """What is read of a column: `chosen` pages of `paged`, or whole chunks where that is None.

    `decoded_bytes` is what that takes in memory: of pages by their share of the chunk.
    """

    column: str
    spans: Spans
    decoded_bytes: int
    paged: PagedChunk | None = None
    chosen: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class GroupRead:
    """A row group of an extent that is to be read: all of `columns`, or, with `wanted`, what holds those rows."""

    layout: Layout
    group: int
    columns: Sequence[str]
    wanted: RowSet | None = None

    @cached_property
    def parts(self) -> Sequence[ColumnRead]:
        """What is read, column by column."""
        return [self._part(column) for column in self.columns]

    @property
    def whole(self) -> bool:
        """Whether all chunks are read whole."""
        return self.wanted is None or all(part.paged is None for part in self.parts)

    @cached_property
    def spans(self) -> Spans:
        """The bytes of the extent that are read."""
        return Spans.of([part.spans for part in self.parts])

    @cached_property
    def decoded_bytes(self) -> int:
        """How much memory the columns take when decoded."""
        return sum(part.decoded_bytes for part in self.parts)

    @property
    def page_count(self) -> int:
        """How many pages are read by themselves."""
        return sum(len(part.chosen) for part in self.parts if part.chosen is not None)

    def _part(self, column: str) -> ColumnRead:
        paged = self.layout.paged(self.group, column) if self.wanted is not None else None
        if paged is not None:
            chosen = self._chosen(paged)
            if len(chosen) < len(paged.pages):
                return self._pages(column, paged, chosen)
        chunks = self.layout.chunks(self.group, [column])
        spans = Spans.of_ranges([chunk.range for chunk in chunks])
        return ColumnRead(column, spans, sum(chunk.decoded_bytes for chunk in chunks))

    def _chosen(self, paged: PagedChunk) -> npt.NDArray[np.int64]:
        assert self.wanted is not None
        first, stop = self.layout.rows_of(self.group)
        bounds = paged.pages.first_rows.astype(np.uint64) + np.uint64(first)
        return np.flatnonzero(touched(bounds, self.wanted.slice(first, stop)))

    def _pages(self, column: str, paged: PagedChunk, chosen: npt.NDArray[np.int64]) -> ColumnRead:
        offsets, sizes = paged.pages.offsets[chosen], paged.pages.sizes[chosen]
        spans = Spans(offsets, offsets + sizes)
        if paged.head.length:
            spans = Spans.of([Spans.of_ranges([paged.head]), spans])
        chunk = self.layout.chunks(self.group, [column])[0]
        share = spans.length / max(chunk.range.length, 1)
        return ColumnRead(column, spans, int(chunk.decoded_bytes * min(share, 1.0)), paged, chosen)
