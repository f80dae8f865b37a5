"""Joining one part: build rows block by block in memory, the probe rows of the same part streamed past each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.divide import blocks, load
from esker.join.held_rows import HeldRows, Positions
from esker.join.join_index import JoinIndexBuilder
from esker.join.key_join import MATCH_BYTES_PER_ROW, Matches
from esker.join.keyed import ROW_ID, Keyed
from esker.join.layout import Layout
from esker.join.output import Output
from esker.join.probe import Probe
from esker.join.row_marks import RowMarks

_NO_ROWS = np.zeros(0, np.int64)


class Emitter(Protocol):
    """What is made of matches: rows of the output, or pairs of row ids."""

    layout: Layout

    def pairs(self, batch: pa.RecordBatch, probe: Probe, found: Matches) -> Iterator[pa.RecordBatch]:
        """Take what a batch of the left matched."""
        ...

    def left(self, batch: pa.RecordBatch, positions: Positions) -> Iterator[pa.RecordBatch]:
        """Take left rows that come out on their own."""
        ...

    def right(self, rows: HeldRows, positions: Positions) -> Iterator[pa.RecordBatch]:
        """Take right rows that come out on their own."""
        ...


class RowEmitter:
    """Makes the rows of the output."""

    def __init__(self, layout: Layout, context: QueryContext) -> None:
        self.layout = layout
        self._output = Output(layout, context)

    def pairs(self, batch: pa.RecordBatch, probe: Probe, found: Matches) -> Iterator[pa.RecordBatch]:
        if self.layout.makes_pairs:
            yield from self._output.joined(batch, probe.pairs(found), _NO_ROWS)

    def left(self, batch: pa.RecordBatch, positions: Positions) -> Iterator[pa.RecordBatch]:
        yield from self._output.left_only(batch, positions)

    def right(self, rows: HeldRows, positions: Positions) -> Iterator[pa.RecordBatch]:
        yield from self._output.right_only(rows, positions)


class IndexEmitter:
    """Gathers pairs of row ids; nothing comes out. With `flipped` the right rows are those of the join's left."""

    def __init__(self, layout: Layout, builder: JoinIndexBuilder, *, flipped: bool) -> None:
        self.layout = layout
        self._builder = builder
        self._flipped = flipped

    def pairs(self, batch: pa.RecordBatch, probe: Probe, found: Matches) -> Iterator[pa.RecordBatch]:
        row_ids = probe.rows.column(ROW_ID).to_numpy()
        self._builder.add(found, batch.column(ROW_ID).to_numpy(), row_ids, flipped=self._flipped)
        yield from ()

    def left(self, batch: pa.RecordBatch, positions: Positions) -> Iterator[pa.RecordBatch]:
        yield from ()

    def right(self, rows: HeldRows, positions: Positions) -> Iterator[pa.RecordBatch]:
        yield from ()


class PartJoin:
    """Joins parts of two relations: the right (build) rows in blocks of memory, the left (probe) rows past each.

    A right row may be met by several parts of the left, one after the other: rows that found a partner are marked,
    and come out, or do not, with the last. A left row is met by all right rows it may match in one call.
    """

    def __init__(
        self,
        left: Keyed,
        right: Keyed,
        emitter: Emitter,
        row_count: int,
        block_bytes: int,
        context: QueryContext,
    ) -> None:
        self._left, self._right = left, right
        self._emitter = emitter
        self._context = context
        self._block_bytes = block_bytes
        nothing = np.zeros(0, np.bool_)
        self._keeps_left = emitter.layout.lone_left(nothing) is not None
        self.keeps_right = emitter.layout.lone_right(nothing) is not None
        self._marks = RowMarks(row_count if self.keeps_right else 0)
        self._held = context.budget.reserve("join part", self._marks.nbytes)

    def join(
        self,
        right: Iterator[pa.RecordBatch],
        left: Callable[[], Iterator[pa.RecordBatch]],
        left_rows: int,
        *,
        last: bool,
    ) -> Iterator[pa.RecordBatch]:
        """Yield what a part gives.

        `left` gives its `left_rows` rows as often as asked; `last` says that no part with these right rows follows.
        """
        seen = np.zeros(left_rows if self._keeps_left else 0, np.bool_)
        for block in blocks(load(right), self._block_bytes):
            yield from self._block(block, left, seen, last=last)
        if not self._keeps_left:
            return
        first = 0
        for batch in left():
            lone = self._emitter.layout.lone_left(seen[first : first + batch.num_rows])
            assert lone is not None
            first += batch.num_rows
            yield from self._emitter.left(batch, np.flatnonzero(lone))

    def close(self) -> None:
        """Give memory back."""
        self._held.release()

    def _block(
        self,
        block: list[pa.RecordBatch],
        left: Callable[[], Iterator[pa.RecordBatch]],
        seen: np.ndarray[tuple[int], np.dtype[np.bool_]],
        *,
        last: bool,
    ) -> Iterator[pa.RecordBatch]:
        size = sum(2 * batch.nbytes + MATCH_BYTES_PER_ROW * batch.num_rows for batch in block)
        self._held.try_resize(self._marks.nbytes + size)  # blocks are sized to fit beside what is in flight
        probe = Probe(block, self._left, self._right, self._context)
        first = 0
        for batch, found in probe.matches(left()):
            if self._keeps_left:
                seen[first : first + batch.num_rows] |= found.counts > 0
                first += batch.num_rows
            yield from self._emitter.pairs(batch, probe, found)
        if self.keeps_right:
            yield from self._lone(probe, last=last)
        self._held.try_resize(self._marks.nbytes)

    def _lone(self, probe: Probe, *, last: bool) -> Iterator[pa.RecordBatch]:
        ids = probe.rows.column(ROW_ID).to_numpy()
        self._marks.add(ids[probe.matched])
        if last:
            lone = self._emitter.layout.lone_right(self._marks.contains_each(ids))
            assert lone is not None
            yield from self._emitter.right(probe.rows, np.flatnonzero(lone))
