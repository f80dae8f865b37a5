"""A partitioned stream of batches, and how it is run: the narrow part of every plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from esker.core.batch import slices
from esker.core.context import QueryContext
from esker.engine.exchange import Exchange
from esker.runtime.executors import EXECUTORS

EXCHANGE_BYTES_MAX = 64 << 20


@dataclass(frozen=True)
class PartitionedStream:
    """Batches in `partition_count` partitions: `partition(i)` makes them anew each time it is called.

    A stage is a pure function of its input partition, so a lost partition can be made again.
    """

    schema: pa.Schema
    partition_count: int
    partition: Callable[[int], Iterator[pa.RecordBatch]]

    def then(
        self,
        stage: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
        schema: pa.Schema | None = None,
    ) -> PartitionedStream:
        """Fuse a stage onto every partition."""
        inner = self.partition
        return PartitionedStream(schema or self.schema, self.partition_count, lambda index: stage(inner(index)))


def single(schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> PartitionedStream:
    """A stream of one partition."""
    return PartitionedStream(schema, 1, lambda _index: batches())


def run(stream: PartitionedStream, context: QueryContext, operator: str = "stream") -> Iterator[pa.RecordBatch]:
    """Run every partition in the query's threads; batches come out in partition order unless `ordered` is off.

    Holds at most a sixteenth of the budget (and 64 MiB) in batches between workers and the caller.
    """
    if context.scan_threads <= 1 or stream.partition_count <= 1:
        for index in range(stream.partition_count):
            for batch in stream.partition(index):
                context.check()
                yield from slices(batch, context.batch_rows)
        return
    yield from _run_threads(stream, context, operator)


def _run_threads(stream: PartitionedStream, context: QueryContext, operator: str) -> Iterator[pa.RecordBatch]:
    bytes_max = min(max(context.budget.total_bytes // 16, 1 << 20), EXCHANGE_BYTES_MAX)
    exchange = Exchange(stream.partition_count, bytes_max, context.cancellation, ordered=context.ordered)

    def work(index: int) -> None:
        error: BaseException | None = None
        try:
            for batch in stream.partition(index):
                for part in slices(batch, context.batch_rows):
                    exchange.put(index, part)
        except BaseException as raised:  # noqa: BLE001  # handed to the consumer, who raises it
            error = raised
        finally:
            exchange.finish(index, error)

    workers = min(context.scan_threads, stream.partition_count)
    with context.budget.reserve(operator, 0) as held:
        held.try_resize(min(bytes_max, context.budget.free_bytes))
        executor = EXECUTORS["threads"](workers)
        try:
            for index in range(stream.partition_count):
                executor.submit(partial(work, index))
            yield from exchange
        finally:
            # Wakes producers that wait for room when the consumer leaves early (head, an error, Ctrl-C).
            exchange.abandon()
            executor.close()
