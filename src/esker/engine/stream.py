"""A partitioned stream of batches, and how it is run: the narrow part of every plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from esker.core.batch import slices
from esker.core.context import QueryContext
from esker.core.memory import Reservation
from esker.engine.exchange import Exchange
from esker.engine.remote import RemoteStream, run_remote
from esker.engine.session import session_of
from esker.errors import MemoryBudgetExceededError
from esker.runtime.executors import EXECUTORS

EXCHANGE_BYTES_MAX = 64 << 20


@dataclass(frozen=True)
class PartitionedStream:
    """Batches in `partition_count` partitions: `partition(i)` makes them anew each time it is called.

    A stage is a pure function of its input partition, so a lost partition can be made again. `held_bytes` is what
    making one holds at a time, beside its batches: fewer run at once where that is much. `remote` says how they are
    made in other processes, where they can be.
    """

    schema: pa.Schema
    partition_count: int
    partition: Callable[[int], Iterator[pa.RecordBatch]]
    held_bytes: int = 0
    remote: RemoteStream | None = None

    def then(
        self,
        stage: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
        schema: pa.Schema | None = None,
    ) -> PartitionedStream:
        """Fuse a stage onto every partition."""
        inner = self.partition
        return PartitionedStream(
            schema or self.schema, self.partition_count, lambda index: stage(inner(index)), self.held_bytes
        )


def single(schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> PartitionedStream:
    """A stream of one partition."""
    return PartitionedStream(schema, 1, lambda _index: batches())


def run(stream: PartitionedStream, context: QueryContext, operator: str = "stream") -> Iterator[pa.RecordBatch]:
    """Run every partition in the query's threads; batches come out in partition order unless `ordered` is off.

    In a session whose stages go to other processes they run there, where they can. Holds at most a sixteenth of the
    budget (and 64 MiB) in batches between workers and the caller.
    """
    session = session_of(context)
    if stream.remote is not None and session is not None and not stream.remote.direct:
        yield from run_remote(stream.remote, range(stream.partition_count), session, context)
        return
    with context.budget.reserve(operator) as held:
        workers = _workers(stream, context, held)
        if workers > 1:
            yield from _run_threads(stream, context, operator, workers)
            return
        for index in range(stream.partition_count):
            for batch in stream.partition(index):
                context.check()
                yield from slices(batch, context.batch_rows)


def run_in_order(stream: PartitionedStream, context: QueryContext, operator: str) -> Iterator[pa.RecordBatch]:
    """Run every partition, in the query's threads where memory allows; batches come out in partition order.

    For reads in the middle of another operator: what that holds may leave no room, and then the caller's thread does
    the work, holding one batch.
    """
    wanted = 2 * stream.held_bytes + _exchange_bytes(context)
    if min(context.scan_threads, stream.partition_count) > 1 and wanted <= context.budget.free_bytes // 2:
        yield from run(stream, replace(context, ordered=True), operator)
        return
    for index in range(stream.partition_count):
        for batch in stream.partition(index):
            context.check()
            yield batch


def _exchange_bytes(context: QueryContext) -> int:
    return min(max(context.budget.total_bytes // 16, 1 << 20), EXCHANGE_BYTES_MAX)


def _workers(stream: PartitionedStream, context: QueryContext, held: Reservation) -> int:
    """How many partitions to make at once; reserves what they hold, or says which limit is too low for even one."""
    workers = max(1, min(context.scan_threads, stream.partition_count))
    while workers > 1 and not held.try_resize(workers * stream.held_bytes):
        workers -= 1
    if workers == 1 and not held.try_resize(stream.held_bytes):
        raise MemoryBudgetExceededError.of(
            held.operator,
            stream.held_bytes,
            context.budget.total_bytes,
            context.budget.holders(),
            advice=f"reading holds a page of each of {len(stream.schema)} columns: select fewer, or raise memory=",
        )
    return workers


def _run_threads(
    stream: PartitionedStream, context: QueryContext, operator: str, workers: int
) -> Iterator[pa.RecordBatch]:
    bytes_max = _exchange_bytes(context)
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
