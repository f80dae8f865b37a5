"""The Grace hash join: both sides divided by key through the shuffle, part by part joined in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.divide import (
    SHARES,
    Charge,
    Part,
    block_bytes,
    blocks,
    divide,
    keep_for_rereading,
    load,
    uncharged,
)
from esker.join.held_rows import HeldRows, copies_held
from esker.join.key_join import MATCH_BYTES_PER_ROW, drop_null_keys
from esker.join.keyed import KeyedSide
from esker.join.layout import Layout
from esker.join.output import Output
from esker.join.probe import Probe, join_loaded, left_without_partner
from esker.join.sorted_runs import SortedRuns


class GraceJoin:
    """One run of a Grace join.

    Order: the parts by the hash of their keys; in a part as a join in memory gives it (left row id, right row id,
    then right rows without a partner). A part of one key too large for memory is joined block of right rows by
    block, its left rows without a partner after the last. Rows with a null key come at the end, left ones first.
    """

    def __init__(
        self, left: KeyedSide, right: KeyedSide, layout: Layout, context: QueryContext, charge: Charge = uncharged
    ) -> None:
        """Join two sides; `charge` is told what is spilled and read again."""
        self._left, self._right = left, right
        self._charge = charge
        self._layout = layout
        self._context = context
        self._output = Output(layout, context)
        share = context.budget.free_bytes // SHARES // SHARES
        self._left_nulls = _NullKeys(left, context, share, kept=layout.keeps_left or layout.how == "anti")
        self._right_nulls = _NullKeys(right, context, share, kept=layout.keeps_right)

    def run(
        self, left: Iterable[pa.RecordBatch], right: Iterable[pa.RecordBatch], right_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows; `right_bytes` is how large the right side is thought to be."""
        sides = self._left_nulls.set_aside(left), self._right_nulls.set_aside(right)
        schemas = self._left.schema, self._right.schema
        by = self._left.key_names, self._right.key_names
        size = right_bytes + MATCH_BYTES_PER_ROW * self._right.candidate_count
        try:
            for part in divide(*sides, schemas, by, size, self._context, charge=self._charge):
                yield from self._join(part)
            for batch in self._left_nulls.batches():
                yield from self._output.left_only(batch, np.arange(batch.num_rows))
            for batch in self._right_nulls.batches():
                yield from self._output.right_only(HeldRows([batch]), np.arange(batch.num_rows))
        finally:
            self._left_nulls.close()
            self._right_nulls.close()

    def _join(self, part: Part) -> Iterator[pa.RecordBatch]:
        if not part.fits:
            yield from self._join_blocks(part)
            return
        right = list(load(part.right))
        if not right:
            yield from left_without_partner(part.left, self._layout, self._output)
            return
        rows = sum(batch.num_rows for batch in right)
        size = copies_held(self._right.schema) * sum(batch.nbytes for batch in right) + MATCH_BYTES_PER_ROW * rows
        with self._context.budget.reserve("join part", 0) as held:
            held.try_resize(size)  # the part was sized to fit; what is in flight must not make it fail
            probe = Probe(right, self._left, self._right, self._context, marks=self._layout.keeps_right)
            yield from join_loaded(probe, part.left, self._layout, self._output)

    def _join_blocks(self, part: Part) -> Iterator[pa.RecordBatch]:
        layout, output = self._layout, self._output
        kept = keep_for_rereading(part.left, self._left.schema, self._context)
        seen = np.zeros(kept.row_count, np.bool_)
        try:
            for block in blocks(load(part.right), block_bytes(self._context)):
                probe = Probe(block, self._left, self._right, self._context, marks=layout.keeps_right)
                first = 0
                for batch, found in probe.matches(kept.batches()):
                    seen[first : first + batch.num_rows] |= found.counts > 0
                    first += batch.num_rows
                    if not layout.only_left:
                        yield from output.joined(batch, probe.pairs(found), _NO_ROWS)
                if layout.keeps_right:
                    yield from output.right_only(probe.rows, np.flatnonzero(~probe.matched))
            first = 0
            for batch in kept.batches():
                here = seen[first : first + batch.num_rows]
                first += batch.num_rows
                if layout.keeps_left or layout.how == "anti":
                    yield from output.left_only(batch, np.flatnonzero(~here))
                elif layout.how == "semi":
                    yield from output.left_only(batch, np.flatnonzero(here))
        finally:
            kept.close()


_NO_ROWS = np.zeros(0, np.int64)


class _NullKeys:
    """Rows of a side with a null key: they match nothing, and all would fall into one partition."""

    def __init__(self, side: KeyedSide, context: QueryContext, memory_bytes: int, *, kept: bool) -> None:
        fields = [pa.field(f"{side.schema.field(0).name}_order", pa.uint64()), *side.schema]
        self._side = side
        self._context = context
        self._runs = SortedRuns("null keys", pa.schema(fields), context, memory_bytes) if kept else None

    def set_aside(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows whose keys are all there."""
        for batch in batches:
            valid = drop_null_keys(self._side.keys(batch))
            if valid is None:
                yield batch
                continue
            if self._runs is not None:
                null = batch.filter(pa.array(~valid))
                columns = [null.column(0), *null.columns]
                self._runs.add(pa.RecordBatch.from_arrays(columns, schema=self._runs.schema))
            yield batch.filter(pa.array(valid))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows set aside, in row-id order."""
        if self._runs is not None:
            self._runs.finish()
            yield from self._runs.merged(self._context.batch_rows)

    def close(self) -> None:
        if self._runs is not None:
            self._runs.close()
