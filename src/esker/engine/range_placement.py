"""Ranges of keys as partitions: splitters from a sample, then a number for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.placement import Ids, numbered_schema, with_ids
from esker.engine.sample import draw, sample_rows
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


# Rows with the numbers that they drew: so many are wanted, by a seed.
Draw = Callable[[int, int], PartitionedStream]


class RangePlacement:
    """Puts keys that are less into partitions that come earlier; equal keys are in one.

    Splitters come from a seeded sample. `drawn` gives the key columns of the same rows, in a pass of its own, with the
    numbers that they drew (`sample.draw`), for a number of rows and a seed. Without it the rows can be read once, or
    are dear to make: they are spooled, and sampled there. What is less is said by the order of a sort: `descending`
    columns, nulls last or first.
    """

    def __init__(
        self,
        by: Sequence[str],
        partition_count: int,
        drawn: Draw | None,
        descending: Sequence[bool] = (),
        nulls_first: bool = False,
    ) -> None:
        self._by = tuple(by)
        self._partition_count = partition_count
        self._drawn = drawn
        self._order = (descending, nulls_first)

    def numbered(self, stream: PartitionedStream, context: QueryContext) -> Iterator[pa.RecordBatch]:
        drawn = self._drawn
        if drawn is None:
            rows = spool(run(stream, context, "scan before shuffle"), stream.schema, "range shuffle", context)
            stream = table_stream(rows, stream.schema.names, context)
            keys = stream.then(project_stage(self._by), pa.schema([stream.schema.field(name) for name in self._by]))
            drawn = partial(draw, keys)
        splitters = self._splitters_of(drawn, context)
        return run(stream.then(ids_stage(splitters), numbered_schema(stream.schema)), context, "scan before shuffle")

    def splitters(self, context: QueryContext) -> Splitters:
        """Draw the sample of the keys, and choose."""
        assert self._drawn is not None, "asked where the keys are a stream of their own"
        return self._splitters_of(self._drawn, context)

    def _splitters_of(self, drawn: Draw, context: QueryContext) -> Splitters:
        row_count = self._partition_count * SAMPLE_ROWS_OF_A_PARTITION
        row_count = min(max(row_count, SAMPLE_ROWS_MIN), SAMPLE_ROWS_MAX)
        bytes_max = context.budget.total_bytes // _SAMPLE_SHARE
        stream = drawn(row_count, context.seed)
        schema = pa.schema(list(stream.schema)[:-1])
        if self._partition_count == 1:
            return Splitters(schema.empty_table().select(self._by), self._by, *self._order)
        keys_seen = pa.Table.from_batches(sample_rows(stream, row_count, context, bytes_max), schema)
        return Splitters.of_sample(keys_seen, self._by, self._partition_count, *self._order)


class Numbering(Protocol):
    """Says the partition of each row of a batch, by the batch alone."""

    def ids(self, batch: pa.RecordBatch) -> Ids:
        """The numbers."""
        ...


@dataclass(frozen=True)
class OneNumber:
    """All rows go to one partition."""

    number: int

    def ids(self, batch: pa.RecordBatch) -> Ids:
        """The numbers."""
        return np.full(batch.num_rows, self.number, np.int32)


def ids_stage(numbering: Numbering) -> Stage:
    """Put the numbers of the rows' partitions behind their columns."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield with_ids(batch, numbering.ids(batch), numbered_schema(batch.schema))

    return stage
