"""Putting the rows of a join together, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.held_rows import HeldRows, Positions, take
from esker.join.layout import Layout

# A batch of output takes about this share of the budget at most, however wide its rows are.
_BATCH_SHARE = 64


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
        done = 0
        for found in pairs:
            upto = int(np.searchsorted(unmatched, found.left[-1], "left"))
            yield from self._rows(left, _weave(found, unmatched[done:upto]))
            done = upto
        if done < len(unmatched):
            rest = unmatched[done:]
            yield from self._rows(left, Matched(rest, self._nothing, np.full(len(rest), -1)))

    def left_only(self, left: pa.RecordBatch, positions: Positions) -> Iterator[pa.RecordBatch]:
        """Yield left rows alone (semi, anti)."""
        yield from self.joined(left, (), positions)

    def right_only(self, right: HeldRows, positions: Positions) -> Iterator[pa.RecordBatch]:
        """Yield right rows without a partner: nulls for the left, the key from the right."""
        for part in _cut(positions, self._rows_max(right.row_bytes)):
            columns = [
                _as(right.take(column.right, part), column.field.type)
                if column.right is not None
                else pa.nulls(len(part), column.field.type)
                for column in self._layout.columns
            ]
            yield self._batch(columns)

    def _rows(self, left: pa.RecordBatch, found: Matched) -> Iterator[pa.RecordBatch]:
        row_bytes = left.nbytes // max(left.num_rows, 1) + found.right_rows.row_bytes
        rows_max = self._rows_max(row_bytes)
        for start in range(0, len(found.left), rows_max):
            from_left, from_right = (side[start : start + rows_max] for side in (found.left, found.right))
            columns = []
            for column in self._layout.columns:
                both = column.right is not None and found.right_rows is not self._nothing
                if column.left is not None and not (column.from_right and both):
                    values = take(left.column(column.left), from_left)
                elif found.right_rows is self._nothing:
                    values = pa.nulls(len(from_left), column.field.type)
                else:
                    assert column.right is not None
                    values = found.right_rows.take(column.right, from_right)
                columns.append(_as(values, column.field.type))
            yield self._batch(columns)

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
