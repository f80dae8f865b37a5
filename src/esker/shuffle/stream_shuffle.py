"""The shuffle of a stream: partitions are handed on while rows still come, late rows after a time-out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import pyarrow as pa

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.errors import OptionError
from esker.shuffle.operator import ShuffleOperator

PART = tuple[int, pa.RecordBatch]


class StreamShuffle:
    """Regroups rows as they come, and hands on every page that is full, or whose first row has waited long enough.

    >>> batch = pa.record_batch({"k": [1, 2, 1]})
    >>> with StreamShuffle(batch.schema, ["k"], 2, memory_bytes=64 << 20, flush_seconds=0.0) as stream:
    ...     parts = list(stream.push(batch))
    >>> sum(part.num_rows for _, part in parts)
    3

    `flush_seconds` bounds how long a row waits for its page to fill while `push` or `poll` is called; None waits for
    full pages. The other options are those of `ShuffleOperator`. Rows of a partition come in the order of the input if
    `ordered`. A page handed on no longer counts against the memory once its batch is gone.
    """

    def __init__(
        self,
        schema: pa.Schema,
        by: Sequence[str],
        partition_count: int,
        *,
        flush_seconds: float | None = None,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        if flush_seconds is not None and flush_seconds < 0:
            raise OptionError(
                f"flush_seconds={flush_seconds}: give a time of at least 0, or None to wait for full pages"
            )
        self._operator = ShuffleOperator(schema, by, partition_count, **options)
        self._flush_seconds = flush_seconds
        self._clock = clock or SYSTEM_CLOCK
        self._waiting_since: float | None = None

    def push(self, batch: pa.RecordBatch) -> Iterator[PART]:
        """Take rows; yields (partition, batch) for what is ready."""
        self._operator.push(batch)
        # Here and not in `poll`, which is a generator: the time counts from now.
        if batch.num_rows and self._waiting_since is None:
            self._waiting_since = self._clock.seconds()
        return self.poll()

    def poll(self) -> Iterator[PART]:
        """Yield what is ready now; flushes first when the oldest row has waited for `flush_seconds`."""
        if self._is_due():
            self._operator.flush()
            self._waiting_since = None
        yield from self._operator.ready()

    def finish(self) -> Iterator[PART]:
        """Take no more rows; yields all that is left."""
        self._operator.finish()
        for partition in range(self._operator.partition_count):
            for batch in self._operator.partition(partition):
                yield partition, batch

    def close(self) -> None:
        """Free pages and files; calling it again does nothing."""
        self._operator.close()

    def __enter__(self) -> StreamShuffle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_due(self) -> bool:
        if self._waiting_since is None or self._flush_seconds is None:
            return False
        return self._clock.seconds() - self._waiting_since >= self._flush_seconds
