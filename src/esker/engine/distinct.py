"""One row for each key: the first, in the order of the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.each_partition import map_each_partition
from esker.engine.group import first_rows_of, group_codes
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stages import Stage
from esker.engine.stream import PartitionedStream


def first_rows(table: pa.Table, by: Sequence[str]) -> pa.Table:
    """Keep the first row of each key.

    >>> first_rows(pa.table({"k": [1, None, 1, None], "n": [1, 2, 3, 4]}), ["k"])["n"].to_pylist()
    [1, 2]
    """
    codes, count = group_codes(table, by)
    if count == table.num_rows:
        return table
    return table.take(pa.array(first_rows_of(codes)))


def distinct_stage(by: Sequence[str]) -> Stage:
    """Keep the first row of each key of a batch, so that a key with many rows does not fill a partition."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from first_rows(pa.Table.from_batches([batch]), by).to_batches()

    return stage


def distinct(barrier: ShuffleBarrier, by: Sequence[str], schema: pa.Schema, context: QueryContext) -> PartitionedStream:
    """A stream of the first row of each key, in each partition in the order of the input."""

    def keep_first(table: pa.Table) -> Iterator[pa.RecordBatch]:
        yield from first_rows(table, by).to_batches()

    return map_each_partition("distinct", barrier, by, keep_first, schema, context)
