"""A function on each partition of a shuffle as one table, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from esker.core.byte_size import format_bytes
from esker.core.context import QueryContext
from esker.engine.group import largest_group
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stream import PartitionedStream, single
from esker.errors import MemoryBudgetExceededError

TableFunction = Callable[[pa.Table], Iterator[pa.RecordBatch]]

# A partition is held as read, gathered by group, and once more in what the function makes of it.
COPIES = 3
# A partition that is still too large after this many splits has one key (or the data is beyond the budget).
DEPTH_MAX = 4


class PartitionMapper:
    """Calls a function with each partition of a shuffle; rows of equal keys are in one call.

    A partition that does not fit its share of the budget is shuffled again with another seed; a single group that
    does not fit raises MemoryBudgetExceededError naming its key.
    """

    def __init__(
        self, operator: str, by: Sequence[str], function: TableFunction, context: QueryContext, concurrency: int
    ) -> None:
        self._operator = operator
        self._by = tuple(by)
        self._function = function
        self._context = context
        # The barrier's pages may hold half of the budget, the exchange a sixteenth: a quarter is for groups.
        self._partition_bytes_max = context.budget.total_bytes // 4 // max(concurrency, 1)

    def partition(self, barrier: ShuffleBarrier, index: int, depth: int = 0) -> Iterator[pa.RecordBatch]:
        """Yield what the function returns for one partition, or for its parts one after the other."""
        operator = barrier.operator()
        size = operator.partition_bytes[index]
        if size * COPIES <= self._partition_bytes_max:
            with self._context.budget.reserve(self._operator, 0) as held:
                held.try_resize(size * COPIES)
                yield from self._function(pa.Table.from_batches(barrier.partition(index), operator.schema))
            return
        yield from self._split(barrier, index, depth, size)

    def _split(self, barrier: ShuffleBarrier, index: int, depth: int, size: int) -> Iterator[pa.RecordBatch]:
        operator = barrier.operator()
        if depth >= DEPTH_MAX:
            raise self._too_large(operator.schema, barrier.partition(index), size)
        count = max(2, 2 * size * COPIES // self._partition_bytes_max + 1)
        inner = ShuffleBarrier(
            single(operator.schema, lambda: barrier.partition(index)),
            self._by,
            count,
            self._context,
            seed=self._context.seed + depth + 1,
            threads=1,  # each takes memory, and the partitions beside this one keep the cores busy
        )
        try:
            sizes = inner.operator().partition_bytes
            for part in range(count):
                if sizes[part] * COPIES > self._partition_bytes_max and sizes[part] >= 0.99 * size:
                    raise self._too_large(operator.schema, inner.partition(part), sizes[part])
                yield from self.partition(inner, part, depth + 1)
        finally:
            inner.close()

    def _too_large(self, schema: pa.Schema, rows: Iterator[pa.RecordBatch], size: int) -> MemoryBudgetExceededError:
        sample = next(iter(rows), None)
        table = pa.Table.from_batches([sample] if sample is not None else [], schema)
        key, _ = largest_group(table, self._by)
        return MemoryBudgetExceededError.of(
            self._operator,
            size * COPIES,
            self._context.budget.total_bytes,
            self._context.budget.holders(),
            largest_key=key,
            advice=f"one group has {format_bytes(size)}: raise memory=, or add a column to the key",
        )


def map_each_partition(
    operator: str,
    barrier: ShuffleBarrier,
    by: Sequence[str],
    function: TableFunction,
    schema: pa.Schema,
    context: QueryContext,
) -> PartitionedStream:
    """A stream of what `function` yields for each partition, with batches of `schema`."""
    mapper = PartitionMapper(operator, by, function, context, min(context.scan_threads, barrier.partition_count))
    return PartitionedStream(schema, barrier.partition_count, lambda index: mapper.partition(barrier, index))
