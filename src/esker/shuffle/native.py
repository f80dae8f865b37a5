"""What the strategies of the kernel share: a kernel shuffle, its pool and its spill file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from esker.errors import EskerError, MemoryBudgetExceededError, OptionError
from esker.kernel import _kernel
from esker.shuffle.strategy import OPTIMISATIONS, ShuffleTask, Strategy

# The pool needs a few of the smallest pages to get on at all.
POOL_BYTES_MIN = 1 << 20
# What the buffers of a thread take, where the pages leave room: 4 KiB a partition (see strategies/buffered.h).
BUFFER_BYTES_EACH = 4 << 10
BUFFER_BYTES = (1 << 20, 16 << 20)
BUFFER_BYTES_MIN = 64 << 10
BUFFER_PART = 8
# Pages are joined into batches of about this size: to cross into Python costs as much as copying some pages.
BATCH_BYTES_MAX = 1 << 20
BATCH_BYTES_MIN = 64 << 10
# Of the pool, the share of a batch that is handed out: readers hold a few.
BATCH_PART = 64


class NativeStrategy(Strategy):
    """A strategy of the kernel; `name` is what the kernel calls it, and the name of the variant's file."""

    spills: ClassVar[bool] = True
    name: ClassVar[str]

    def __init__(self, task: ShuffleTask) -> None:
        unknown = set(task.optimisations) - set(OPTIMISATIONS)
        if unknown:
            raise OptionError(f"no optimisation {sorted(unknown)[0]!r}; there is: {', '.join(OPTIMISATIONS)}")
        self._task = task
        self._path: Path | None = None
        self._buffer_bytes = task.buffer_bytes or buffer_bytes(
            task.memory_bytes, task.thread_count, task.partition_count
        )
        overhead = self._overhead_bytes()
        self.pool_bytes = task.memory_bytes - overhead
        if self.pool_bytes < POOL_BYTES_MIN:
            raise MemoryBudgetExceededError(
                f"a shuffle into {task.partition_count:,} partitions with {task.thread_count} threads needs"
                f" {overhead + POOL_BYTES_MIN:,} bytes, and has {task.memory_bytes:,}; raise memory= or use fewer"
                " partitions or threads",
                operator="shuffle",
                bytes_wanted=overhead + POOL_BYTES_MIN,
            )
        self._batch_bytes = batch_bytes(self.pool_bytes)
        self._pool = task.pool or _kernel.PagePool(self.pool_bytes)
        fd = -1
        if task.spill is not None:
            self._path, fd = task.spill.new_file("shuffle")
        try:
            self._shuffle = self._make(fd, task.spill.limit_bytes if task.spill is not None else 0)
        except BaseException:
            # Only a shuffle that was made owns the descriptor.
            if self._path is not None:
                os.close(fd)
                self._path.unlink(missing_ok=True)
            raise

    def _overhead_bytes(self) -> int:
        task = self._task
        try:
            found: int = _kernel.Shuffle.overhead_bytes(
                task.schema, task.partition_count, self.name, task.pages, task.thread_count, self._buffer_bytes
            )
        except EskerError:
            raise
        except ValueError as error:
            raise OptionError(f"shuffle: {error}") from error
        return found

    def _make(self, spill_fd: int, spill_limit_bytes: int) -> _kernel.Shuffle:
        task = self._task
        try:
            return _kernel.Shuffle(
                task.schema,
                list(task.keys),
                task.partition_count,
                self._pool,
                strategy=self.name,
                pages=task.pages,
                function=task.function,
                seed=task.seed,
                thread_count=task.thread_count,
                ordered=task.ordered,
                page_bytes_max=task.page_bytes_max,
                spill_fd=spill_fd,
                spill_limit_bytes=spill_limit_bytes,
                buffer_bytes=self._buffer_bytes,
                key_only_columns=task.key_only_columns,
                **task.optimisations,
            )
        except EskerError:
            raise
        except ValueError as error:
            raise OptionError(f"shuffle: {error}") from error

    def push(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._shuffle.push(list(batches))

    def flush(self) -> None:
        self._shuffle.flush()

    def ready(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        for partition in range(self._task.partition_count):
            while (page := self._shuffle.ready(partition)) is not None:
                yield partition, pa.record_batch(page)
                del page

    def finish(self) -> None:
        self._shuffle.finish()

    def partition(self, partition: int) -> Iterator[pa.RecordBatch]:
        stream = self._shuffle.partition(partition, self._batch_bytes, views=self._task.views)
        reader = pa.RecordBatchReader.from_stream(stream)
        try:
            # One statement: no variable may keep a batch, whose pages are used again when it is gone.
            yield from reader
        except (pa.ArrowException, OSError):
            stream.raise_failure()
            raise

    def stream(self, partition: int, keeper: object) -> _kernel.PartitionStream:
        return self._shuffle.partition(partition, self._batch_bytes, views=self._task.views, keeper=keeper)

    def partition_rows(self) -> list[int]:
        rows: list[int] = self._shuffle.partition_rows()
        return rows

    def partition_bytes(self) -> list[int]:
        sizes: list[int] = self._shuffle.partition_bytes()
        return sizes

    def statistics(self) -> dict[str, Any]:
        found: dict[str, Any] = self._shuffle.statistics()
        return found

    def interrupt(self) -> None:
        self._shuffle.interrupt()

    def close(self) -> None:
        self._shuffle.free()
        if self._task.pool is None:
            self._pool.trim()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None


def buffer_bytes(memory_bytes: int, thread_count: int, partition_count: int) -> int:
    """What the buffers of one thread may take of a shuffle's memory.

    >>> buffer_bytes(1 << 30, 2, 256), buffer_bytes(1 << 30, 2, 1024), buffer_bytes(4 << 20, 2, 256)
    (1048576, 4194304, 262144)
    """
    share = memory_bytes // (BUFFER_PART * max(thread_count, 1))
    wanted = min(max(BUFFER_BYTES_EACH * partition_count, BUFFER_BYTES[0]), BUFFER_BYTES[1])
    return max(BUFFER_BYTES_MIN, min(wanted, share))


def batch_bytes(pool_bytes: int) -> int:
    """How large a batch is made of pages that are smaller.

    >>> batch_bytes(1 << 30), batch_bytes(16 << 20)
    (1048576, 262144)
    """
    return max(BATCH_BYTES_MIN, min(BATCH_BYTES_MAX, pool_bytes // BATCH_PART))
