"""Partitions that no hash of keys gives: numbered here, and handed to the shuffle as a column of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.stages import Stage
from esker.engine.stream import PartitionedStream, run

Ids = npt.NDArray[np.int32]


class Placement(Protocol):
    """Says the partition of each row of a stream."""

    def numbered(self, stream: PartitionedStream, context: QueryContext) -> Iterator[pa.RecordBatch]:
        """Run `stream` and yield its batches in `numbered_schema`."""
        ...


def numbered_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` with the number of the partition behind, under a name that no column has.

    >>> numbered_schema(pa.schema({"k": pa.string()})).names
    ['k', '__']
    """
    name = "_" * (1 + max((len(name) for name in schema.names), default=0))
    return schema.append(pa.field(name, pa.int32(), nullable=False))


def with_ids(batch: pa.RecordBatch, ids: Ids, schema: pa.Schema) -> pa.RecordBatch:
    """`batch` with its partition numbers, in the `numbered_schema` that is given."""
    return pa.RecordBatch.from_arrays([*batch.columns, pa.array(ids, pa.int32())], schema=schema)


class RoundRobin:
    """Deals the rows out one by one: partition sizes differ by a row at most, whatever is in the rows."""

    def __init__(self, partition_count: int) -> None:
        self._partition_count = partition_count

    def numbered(self, stream: PartitionedStream, context: QueryContext) -> Iterator[pa.RecordBatch]:
        # Here, and not in a stage: only the one who sees all batches in order knows the number of a row.
        return deal_stage(0, self._partition_count)(run(stream, context, "scan before repartition"))


def deal_stage(first_row: int, partition_count: int) -> Stage:
    """Put the numbers of partitions behind rows that are dealt out one by one, of which `first_row` come before."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        row = first_row
        for batch in batches:
            ids = np.arange(row, row + batch.num_rows) % partition_count
            row += batch.num_rows
            yield with_ids(batch, ids.astype(np.int32), numbered_schema(batch.schema))

    return stage
