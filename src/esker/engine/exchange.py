"""A bounded channel between workers and a consumer: many partitions in, one ordered (or arrival-order) flow out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import pyarrow as pa

from esker.core.cancellation import Cancellation
from esker.errors import CancelledError


class Exchange:
    """Hands batches from producers of partitions to one consumer, holding at most `bytes_max` of them.

    Ordered: batches come out by partition, then by the order they were put. A producer waits while the channel is
    full, except the one whose partition is next: it always may put one batch, so the flow cannot lock up.
    Unordered: batches come out as they were put.

    Threads: any number of producers (one a partition), one consumer.
    """

    def __init__(self, partition_count: int, bytes_max: int, cancellation: Cancellation, *, ordered: bool) -> None:
        self._ordered = ordered
        self._bytes_max = bytes_max
        self._cancellation = cancellation
        self._condition = threading.Condition()
        self._queues: list[deque[pa.RecordBatch]] = [deque() for _ in range(partition_count if ordered else 1)]
        self._unfinished = set(range(partition_count))
        self._head = 0
        self._bytes = 0
        self._error: BaseException | None = None
        cancellation.on_cancel(self._wake)

    def put(self, partition: int, batch: pa.RecordBatch) -> None:
        """Add a batch of `partition`; waits for room. Raises CancelledError when nobody will read it."""
        size = batch.nbytes
        slot = partition if self._ordered else 0
        with self._condition:
            while not self._may_put(partition, size):
                self._condition.wait()
            if self._error is not None or self._cancellation.cancelled:
                raise CancelledError("stopped: another part of the query failed or was cancelled")
            self._queues[slot].append(batch)
            self._bytes += size
            self._condition.notify_all()

    def finish(self, partition: int, error: BaseException | None = None) -> None:
        """Say that `partition` has no more batches, or that it failed."""
        with self._condition:
            self._unfinished.discard(partition)
            if error is not None and self._error is None:
                self._error = error
            self._condition.notify_all()

    def abandon(self) -> None:
        """Say that the consumer left: producers stop at their next batch. Does nothing after the last batch."""
        with self._condition:
            if self._error is None:
                self._error = CancelledError("stopped: the reader left")
            self._condition.notify_all()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._take()) is not None:
            yield batch

    def _may_put(self, partition: int, size: int) -> bool:
        if self._error is not None or self._cancellation.cancelled:
            return True
        if self._bytes + size <= self._bytes_max or self._bytes == 0:
            return True
        return self._ordered and partition == self._head and not self._queues[partition]

    def _take(self) -> pa.RecordBatch | None:
        with self._condition:
            while True:
                if self._error is not None:
                    raise self._error
                self._cancellation.check()
                batch = self._next()
                if batch is not None:
                    self._bytes -= batch.nbytes
                    self._condition.notify_all()
                    return batch
                if not self._unfinished:
                    return None
                self._condition.wait()

    def _next(self) -> pa.RecordBatch | None:
        if not self._ordered:
            return self._queues[0].popleft() if self._queues[0] else None
        while self._head < len(self._queues):
            if self._queues[self._head]:
                return self._queues[self._head].popleft()
            if self._head in self._unfinished:
                return None
            self._head += 1
            self._condition.notify_all()
        return None

    def _wake(self) -> None:
        with self._condition:
            self._condition.notify_all()
