"""Putting columns of the same rows side by side when they come in batches of different lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from esker.core.row_store import RowBatch


def side_by_side(left: Iterator[RowBatch], right: Iterator[RowBatch], columns: Sequence[str]) -> Iterator[RowBatch]:
    """Yield rows with the columns of both; the streams have the same rows in the same order."""
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        length = min(len(a.row_ids), len(b.row_ids))
        assert np.array_equal(a.row_ids[:length], b.row_ids[:length]), "the streams have different rows"
        yield RowBatch(a.row_ids[:length], _join(a.batch.slice(0, length), b.batch.slice(0, length), columns))
        a = _rest(a, length) or next(left, None)
        b = _rest(b, length) or next(right, None)
    assert a is None and b is None, "one stream has more rows"


def _rest(rows: RowBatch, start: int) -> RowBatch | None:
    if start == len(rows.row_ids):
        return None
    return RowBatch(rows.row_ids[start:], rows.batch.slice(start))


def _join(left: pa.RecordBatch, right: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    lefts = frozenset(left.schema.names)
    sides = [left if name in lefts else right for name in columns]
    fields = [side.schema.field(name) for side, name in zip(sides, columns, strict=True)]
    arrays = [side.column(name) for side, name in zip(sides, columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
