"""A function on each partition of a shuffle as one table, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pyarrow as pa

from esker.core.byte_size import format_bytes
from esker.core.context import QueryContext
from esker.engine.gather import gathered
from esker.engine.group import largest_group
from esker.engine.separate import SEPARATE_MAX, Separate
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stream import PartitionedStream, single
from esker.errors import MemoryBudgetExceededError

TableFunction = Callable[[pa.Table], Iterator[pa.RecordBatch]]
GroupFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

# A partition is held as read, gathered by group, and once more in what the function makes of it.
COPIES = 3
# A partition that is still too large after this many splits has one key (or the data is beyond the budget).
DEPTH_MAX = 4
ADVICE = "raise memory=, or add a column to the key"


class PartitionMapper:
    """Calls a function with each partition of a shuffle; rows of equal keys are in one call.

    A partition that does not fit its share of the budget is shuffled again with another seed. A single group that does
    not fit is handed to `large_group`, a batch at a time, or, where there is no such function, raises
    MemoryBudgetExceededError naming its key and giving `advice`.
    """

    def __init__(
        self,
        operator: str,
        by: Sequence[str],
        function: TableFunction,
        context: QueryContext,
        concurrency: int,
        large_group: GroupFunction | None = None,
        advice: str = ADVICE,
    ) -> None:
        self._operator = operator
        self._by = tuple(by)
        self._function = function
        self._context = context
        self._large_group = large_group
        self._advice = advice
        # The barrier's pages may hold half of the budget, the exchange a sixteenth: a quarter is for groups.
        self._partition_bytes_max = context.budget.total_bytes // 4 // max(concurrency, 1)

    def partition(
        self, barrier: ShuffleBarrier, index: int, depth: int = 0, drawn: Callable[[], pa.Table] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield what the function returns for one partition, or for its parts one after the other.

        `drawn` makes keys of some of its rows, where these are known.
        """
        size = barrier.operator().partition_bytes[index]
        if size * COPIES <= self._partition_bytes_max:
            with self._context.budget.reserve(self._operator, 0) as held:
                held.try_resize(size * COPIES)
                yield from self._function(pa.Table.from_batches(barrier.partition(index), barrier.schema))
            return
        if depth >= DEPTH_MAX:
            raise self._too_large(barrier, index)
        if self._large_group is None:
            yield from self._split(barrier, index, depth)
        else:
            yield from self._separate(barrier, index, depth, drawn() if drawn else None, self._large_group)

    def _split(self, barrier: ShuffleBarrier, index: int, depth: int) -> Iterator[pa.RecordBatch]:
        size = barrier.operator().partition_bytes[index]
        count = self._part_count(size)
        inner = self._inner(barrier, index, depth, count, None)
        try:
            sizes = inner.operator().partition_bytes
            for part in range(count):
                if sizes[part] * COPIES > self._partition_bytes_max and sizes[part] >= 0.99 * size:
                    raise self._too_large(inner, part)
                yield from self.partition(inner, part, depth + 1)
        finally:
            inner.close()

    def _separate(
        self, barrier: ShuffleBarrier, index: int, depth: int, drawn: pa.Table | None, large_group: GroupFunction
    ) -> Iterator[pa.RecordBatch]:
        operator = barrier.operator()
        row_count, row_bytes = operator.partition_rows[index], operator.partition_bytes[index]
        placement = Separate(
            self._by,
            self._part_count(row_bytes),
            self._seed(depth),
            row_count=row_count,
            row_bytes=row_bytes,
            drawn=drawn,
        )
        inner = self._inner(barrier, index, depth, placement.partition_count, placement)
        try:
            rows = inner.operator().partition_rows
            for part in range(placement.partition_count):
                if part >= SEPARATE_MAX:
                    yield from self.partition(inner, part, depth + 1, partial(placement.drawn, part))
                elif rows[part]:
                    yield from large_group(gathered(inner.partition(part)))
        finally:
            inner.close()

    def _part_count(self, size: int) -> int:
        return max(2, 2 * size * COPIES // self._partition_bytes_max + 1)

    def _seed(self, depth: int) -> int:
        return self._context.seed + depth + 1

    def _inner(
        self, barrier: ShuffleBarrier, index: int, depth: int, count: int, placement: Separate | None
    ) -> ShuffleBarrier:
        return ShuffleBarrier(
            single(barrier.schema, lambda: gathered(barrier.partition(index))),
            self._by,
            count,
            self._context,
            placement=placement,
            seed=self._seed(depth),
            threads=1,  # each takes memory, and the partitions beside this one keep the cores busy
        )

    def _too_large(self, barrier: ShuffleBarrier, index: int) -> MemoryBudgetExceededError:
        size = barrier.operator().partition_bytes[index]
        sample = next(iter(barrier.partition(index)), None)
        table = pa.Table.from_batches([sample] if sample is not None else [], barrier.schema)
        key, _ = largest_group(table, self._by)
        return MemoryBudgetExceededError.of(
            self._operator,
            size * COPIES,
            self._context.budget.total_bytes,
            self._context.budget.holders(),
            largest_key=key,
            advice=f"one group has {format_bytes(size)}: {self._advice}",
        )


def map_each_partition(
    operator: str,
    barrier: ShuffleBarrier,
    by: Sequence[str],
    function: TableFunction,
    schema: pa.Schema,
    context: QueryContext,
    large_group: GroupFunction | None = None,
    advice: str = ADVICE,
) -> PartitionedStream:
    """A stream of what `function` yields for each partition, with batches of `schema`; see `PartitionMapper`."""
    concurrency = min(context.scan_threads, barrier.partition_count)
    mapper = PartitionMapper(operator, by, function, context, concurrency, large_group, advice)
    return PartitionedStream(schema, barrier.partition_count, lambda index: mapper.partition(barrier, index))
