"""Small batches made into larger ones before they are pushed."""

from __future__ import annotations

import pyarrow as pa

# Rows of a batch below which a morsel of its own would not pay.
ROWS_ALONE = 8192


def joined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Join neighbours that are small, since a morsel does not cross batches; the order stays.

    >>> small = pa.record_batch({"k": [1, 2]})
    >>> large = pa.record_batch({"k": range(ROWS_ALONE)})
    >>> [batch.num_rows for batch in joined([small, small, large, small])]
    [4, 8192, 2]
    """
    out: list[pa.RecordBatch] = []
    small: list[pa.RecordBatch] = []
    for batch in [*batches, None]:
        if batch is not None and batch.num_rows < ROWS_ALONE:
            small.append(batch)
            continue
        if small:
            # A slice of one row keeps its whole batch: joined, it is copied, and the rest is freed.
            out += [small[0]] if len(small) == 1 else _concat(small)
            small = []
        if batch is not None:
            out.append(batch)
    return out


def _concat(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    batches_of_table: list[pa.RecordBatch] = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return batches_of_table
