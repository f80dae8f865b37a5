"""Putting the rows of a join together, column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.held_rows import HeldRows, Positions, take
from esker.join.layout import Layout
from esker.runtime.ahead import made_ahead

# A batch of output takes about this share of the budget at most, however wide its rows are.
_BATCH_SHARE = 64
# So many batches are put together ahead of the reader.
_AHEAD = 2

# Puts a batch together.
Job = Callable[[], pa.RecordBatch]


class Matched(NamedTuple):
    """Pairs of one left batch: positions in it, ascending, and in the rows `right`."""

    left: Positions
    right_rows: HeldRows
    right: Positions


class Output:
    """Makes output batches of a layout, none larger than the context's batch."""

    def __init__(self, layout: Layout, context: QueryContext) -> None:
        self._layout = layout
        self._schema = layout.schema
        self._context = context
        self._batch_bytes = max(context.budget.total_bytes // _BATCH_SHARE, 1)
        self._nothing = HeldRows([])

    def joined(self, left: pa.RecordBatch, pairs: Iterable[Matched], unmatched: Positions) -> Iterator[pa.RecordBatch]:
        """Yield the pairs of a left batch, with its `unmatched` rows in between, in left order."""
        for job in self.jobs(left, pairs, unmatched):
            yield job()

    def ahead(self, jobs: Iterator[Job]) -> Iterator[pa.RecordBatch]:
        """Do jobs in a thread of their own while others are prepared, where there is memory for that."""
        with self._context.budget.reserve("join output") as held:
            if self._context.threads > 1 and held.try_resize(_AHEAD * self._batch_bytes):
                yield from made_ahead(jobs, _AHEAD)
                return
            for job in jobs:
                yield job()

    def jobs(self, left: pa.RecordBatch, pairs: Iterable[Matched], unmatched: Positions) -> Iterator[Job]:
        """Say what `joined` does, a batch at a time, for any thread to do."""
        done = 0
        for found in pairs:
            upto = int(np.searchsorted(unmatched, found.left[-1], "left"))
            yield from self._row_jobs(left, _weave(found, unmatched[done:upto]))
            done = upto
        if done < len(unmatched):
            rest = unmatched[done:]
            yield from self._row_jobs(left, Matched(rest, self._nothing, np.full(len(rest), -1)))

    def left_only(self, left: pa.RecordBatch, positions: Positions) -> Iterator[pa.RecordBatch]:
        """Yield left rows alone (semi, anti)."""
        yield from self.joined(left, (), positions)

    def right_only(self, right: HeldRows, positions: Positions) -> Iterator[pa.RecordBatch]:
        """Yield right rows without a partner: nulls for the left, the key from the right."""
        for job in self.right_jobs(right, positions):
            yield job()

    def right_jobs(self, right: HeldRows, positions: Positions) -> Iterator[Job]:
        """Say what `right_only` does, a batch at a time, for any thread to do."""
        for part in _cut(positions, self._rows_max(right.row_bytes)):
            yield partial(self._right_rows, right, part)

    def _right_rows(self, right: HeldRows, positions: Positions) -> pa.RecordBatch:
        columns = [
            _as(right.take(column.right, positions), column.field.type)
            if column.right is not None
            else pa.nulls(len(positions), column.field.type)
            for column in self._layout.columns
        ]
        return self._batch(columns)

    def _row_jobs(self, left: pa.RecordBatch, found: Matched) -> Iterator[Job]:
        row_bytes = left.nbytes // max(left.num_rows, 1) + found.right_rows.row_bytes
        rows_max = self._rows_max(row_bytes)
        for start in range(0, len(found.left), rows_max):
            stop = start + rows_max
            part = Matched(found.left[start:stop], found.right_rows, found.right[start:stop])
            yield partial(self._rows, left, part)

    def _rows(self, left: pa.RecordBatch, found: Matched) -> pa.RecordBatch:
        columns = []
        for column in self._layout.columns:
            both = column.right is not None and found.right_rows is not self._nothing
            if column.left is not None and not (column.from_right and both):
                values = take(left.column(column.left), found.left)
            elif found.right_rows is self._nothing:
                values = pa.nulls(len(found.left), column.field.type)
            else:
                assert column.right is not None
                values = found.right_rows.take(column.right, found.right)
            columns.append(_as(values, column.field.type))
        return self._batch(columns)

    def _batch(self, columns: list[pa.Array]) -> pa.RecordBatch:
        self._context.check()
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _rows_max(self, row_bytes: int) -> int:
        return max(1, min(self._context.batch_rows, self._batch_bytes // max(row_bytes, 1)))


def _weave(found: Matched, unmatched: Positions) -> Matched:
    """Put unmatched left rows between the pairs, in left order."""
    if not len(unmatched):
        return found
    places = np.searchsorted(found.left, unmatched, "left")
    return Matched(np.insert(found.left, places, unmatched), found.right_rows, np.insert(found.right, places, -1))


def _as(values: pa.Array, type_: pa.DataType) -> pa.Array:
    return values if values.type == type_ else values.cast(type_)


def _cut(positions: Positions, size: int) -> Iterator[Positions]:
    for start in range(0, len(positions), size):
        yield positions[start : start + size]
