"""Probing: the right rows in memory, the left ones streamed past them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.divide import block_bytes
from esker.join.held_rows import HeldRows
from esker.join.key_join import KeyTable, Matches, concat_column
from esker.join.keyed import Keyed
from esker.join.layout import Layout
from esker.join.output import Matched, Output


class Probe:
    """Right rows (at least one batch), ready to be met by any number of left batches."""

    def __init__(
        self,
        right: list[pa.RecordBatch],
        left_side: Keyed,
        right_side: Keyed,
        context: QueryContext,
        *,
        marks: bool = True,
    ) -> None:
        """Take the right rows; without `marks` nobody is to know which of them were matched."""
        self._left_side = left_side
        self._marks = marks
        self._context = context
        indices = [right_side.schema.get_field_index(name) for name in right_side.key_names]
        self._table = KeyTable([concat_column(right, index) for index in indices])
        self.rows = HeldRows(right)
        self.matched = np.zeros(self.rows.row_count, np.bool_)

    def matches(self, left: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, Matches]]:
        """Yield left batches with what they matched, a few batches at a time where that saves work."""
        for batch in self._gathered(left):
            found = self._table.match(self._left_side.keys(batch))
            if self._marks:
                self.matched[found.build_matched()] = True
            yield batch, found

    def pairs(self, found: Matches) -> Iterator[Matched]:
        """The pairs of a left batch, in left order and then right order."""
        for left, right in found.pairs(self._context.batch_rows):
            yield Matched(left, self.rows, right)

    def _gathered(self, left: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if not self._table.probe_rows:
            yield from left
            return
        gathered: list[pa.RecordBatch] = []
        rows = size = 0
        limit = block_bytes(self._context)
        for batch in left:
            gathered.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows >= self._table.probe_rows or size >= limit:
                yield pa.concat_batches(gathered)
                gathered, rows, size = [], 0, 0
        if gathered:
            yield pa.concat_batches(gathered)


def join_loaded(
    probe: Probe, left: Iterable[pa.RecordBatch], layout: Layout, output: Output
) -> Iterator[pa.RecordBatch]:
    """Yield the join of `left` with the right rows in memory, those without a partner last."""
    for batch, found in probe.matches(left):
        yield from emit(batch, found, probe, layout, output)
    if layout.keeps_right:
        yield from output.right_only(probe.rows, np.flatnonzero(~probe.matched))


def emit(
    batch: pa.RecordBatch, found: Matches, probe: Probe, layout: Layout, output: Output
) -> Iterator[pa.RecordBatch]:
    """Yield what one left batch gives, when all right rows it may match are in `probe`."""
    if layout.only_left:
        wanted = found.counts > 0 if layout.how == "semi" else found.counts == 0
        yield from output.left_only(batch, np.flatnonzero(wanted))
    else:
        unmatched = np.flatnonzero(found.counts == 0) if layout.keeps_left else np.zeros(0, np.int64)
        yield from output.joined(batch, probe.pairs(found), unmatched)


def left_without_partner(batches: Iterable[pa.RecordBatch], layout: Layout, output: Output) -> Iterator[pa.RecordBatch]:
    """Yield what left rows give that match nothing."""
    if layout.keeps_left or layout.how == "anti":
        for batch in batches:
            yield from output.left_only(batch, np.arange(batch.num_rows))
