"""One row for each key: the first, or the last, in the order of the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.each_partition import map_each_partition
from esker.engine.group import first_rows_of, group_codes, last_rows_of
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stages import Stage
from esker.engine.stream import PartitionedStream

KEEP = ("first", "last")


def one_row_each(table: pa.Table, by: Sequence[str], keep: str = "first") -> pa.Table:
    """Keep the first (or the last) row of each key, rows in their order.

    >>> rows = pa.table({"k": [1, None, 1, None, 2], "n": [1, 2, 3, 4, 5]})
    >>> one_row_each(rows, ["k"])["n"].to_pylist(), one_row_each(rows, ["k"], "last")["n"].to_pylist()
    ([1, 2, 5], [3, 4, 5])
    """
    codes, count = group_codes(table, by)
    if count == table.num_rows:
        return table
    rows = first_rows_of(codes) if keep == "first" else np.sort(last_rows_of(codes, count))
    return table.take(pa.array(rows))


def distinct_stage(by: Sequence[str], keep: str) -> Stage:
    """Keep one row of each key of a batch, so that a key with many rows does not fill a partition."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from one_row_each(pa.Table.from_batches([batch]), by, keep).to_batches()

    return stage


def distinct(
    barrier: ShuffleBarrier, by: Sequence[str], keep: str, schema: pa.Schema, context: QueryContext
) -> PartitionedStream:
    """A stream of one row of each key, in each partition in the order of the input."""

    def keep_one(table: pa.Table) -> Iterator[pa.RecordBatch]:
        yield from one_row_each(table, by, keep).to_batches()

    return map_each_partition("distinct", barrier, by, keep_one, schema, context)
