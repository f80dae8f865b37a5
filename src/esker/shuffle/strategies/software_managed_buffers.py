"""Threads gather the rows of a morsel by partition in buffers of their own, and hold the lock only to claim space."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from esker.errors import EskerError, MemoryBudgetExceededError, OptionError
from esker.kernel import _kernel
from esker.shuffle.strategy import ShuffleTask, Strategy

# The pool needs a few of the smallest pages to get on at all.
POOL_BYTES_MIN = 1 << 20


class SoftwareManagedBuffers(Strategy):
    """Source 002, 3.5, lock-based, with columns in place of row slots.

    A buffer holds two-byte references to rows still in the cache, not copies: each value is moved once, straight to
    its page. One passage through the lock claims space for all partitions of a morsel (some 64 Ki rows); ordered,
    morsels pass in the order of the input. Time O(rows x columns); memory: pages, plus per thread 10 bytes a row of
    a morsel and 48 bytes a partition.
    """

    spills: ClassVar[bool] = True

    def __init__(self, task: ShuffleTask) -> None:
        self._task = task
        self._path: Path | None = None
        overhead = _kernel.Shuffle.overhead_bytes(task.partition_count, task.thread_count)
        self.pool_bytes = task.memory_bytes - overhead
        if self.pool_bytes < POOL_BYTES_MIN:
            raise MemoryBudgetExceededError(
                f"a shuffle into {task.partition_count:,} partitions with {task.thread_count} threads needs"
                f" {overhead + POOL_BYTES_MIN:,} bytes, and has {task.memory_bytes:,}; raise memory= or use fewer"
                " partitions or threads",
                operator="shuffle",
                bytes_wanted=overhead + POOL_BYTES_MIN,
            )
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

    def _make(self, spill_fd: int, spill_limit_bytes: int) -> _kernel.Shuffle:
        task = self._task
        try:
            return _kernel.Shuffle(
                task.schema,
                list(task.keys),
                task.partition_count,
                self._pool,
                function=task.function,
                seed=task.seed,
                thread_count=task.thread_count,
                ordered=task.ordered,
                page_bytes_max=task.page_bytes_max,
                spill_fd=spill_fd,
                spill_limit_bytes=spill_limit_bytes,
            )
        except EskerError:
            raise
        except ValueError as error:
            raise OptionError(f"shuffle: {error}") from error

    def push(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._shuffle.push(list(batches))

    def finish(self) -> None:
        self._shuffle.finish()

    def partition(self, partition: int) -> Iterator[pa.RecordBatch]:
        while (page := self._shuffle.next(partition)) is not None:
            yield pa.record_batch(page)
            del page

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
