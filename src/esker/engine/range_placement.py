"""Ranges of keys as partitions: splitters from a sample, then a number for each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.placement import numbered_schema, with_ids
from esker.engine.sample import sample_rows
from esker.engine.sources.stored import table_stream
from esker.engine.splitters import Splitters
from esker.engine.stages import Stage, project_stage
from esker.engine.stores.spooled import spool
from esker.engine.stream import PartitionedStream, run

# Rows of the sample for each partition: the largest of many partitions is then seldom above 1.3 times its share.
SAMPLE_ROWS_OF_A_PARTITION = 128
SAMPLE_ROWS_MIN = 1 << 13
SAMPLE_ROWS_MAX = 1 << 18
# Of the budget, what the sampled keys may take; they are sorted, so they are held about three times.
_SAMPLE_SHARE = 32


class RangePlacement:
    """Puts keys that are less into partitions that come earlier; equal keys are in one.

    Splitters come from a seeded sample. `keys` are the key columns of the same rows, to be read beside them: a pass
    of its own. Without it the rows can be read once, or are dear to make: they are spooled, and sampled there.
    """

    def __init__(self, by: Sequence[str], partition_count: int, keys: PartitionedStream | None) -> None:
        self._by = tuple(by)
        self._partition_count = partition_count
        self._keys = keys

    def numbered(self, stream: PartitionedStream, context: QueryContext) -> Iterator[pa.RecordBatch]:
        keys = self._keys
        if keys is None:
            rows = spool(run(stream, context, "scan before shuffle"), stream.schema, "range shuffle", context)
            stream = table_stream(rows, stream.schema.names, context)
            keys = stream
        splitters = self._splitters(keys, context)
        return run(stream.then(_ids_stage(splitters), numbered_schema(stream.schema)), context, "scan before shuffle")

    def _splitters(self, keys: PartitionedStream, context: QueryContext) -> Splitters:
        narrow = keys.then(project_stage(self._by), pa.schema([keys.schema.field(name) for name in self._by]))
        if self._partition_count == 1:
            return Splitters(narrow.schema.empty_table(), self._by)
        row_count = self._partition_count * SAMPLE_ROWS_OF_A_PARTITION
        row_count = min(max(row_count, SAMPLE_ROWS_MIN), SAMPLE_ROWS_MAX)
        bytes_max = context.budget.total_bytes // _SAMPLE_SHARE
        sampled = sample_rows(narrow, row_count, context.seed, context, bytes_max)
        return Splitters.of_sample(pa.Table.from_batches(sampled, narrow.schema), self._by, self._partition_count)


def _ids_stage(splitters: Splitters) -> Stage:
    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield with_ids(batch, splitters.ids(batch), numbered_schema(batch.schema))

    return stage
