"""What a run of an algorithm works with: arrays of vertex state, threads, a size for the pieces edges come in."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from esker.core.context import QueryContext

Array = npt.NDArray[Any]
T = TypeVar("T")
R = TypeVar("R")

# An edge in the works takes about this much of a thread's scratch: two numbers, two values, an order.
EDGE_BYTES = 64
PIECE_EDGES_MIN, PIECE_EDGES_MAX = 1 << 14, 1 << 19
# Beyond this, or what the budget has left, state lies in mapped files.
STATE_BYTES_MAX = 1 << 62
# Scratch of all threads, and what the process holds besides; the rest of the budget is for state.
_SCRATCH_SHARE = 4


class Workspace:
    """State, scratch and threads of one run; a context manager that gives all of it back.

    A piece is what a thread takes of edges or vertices at a time; sizes follow the budget alone, not the threads'
    timing, so that sums are made in the same order every time.
    """

    def __init__(self, context: QueryContext, operator: str) -> None:
        self.context = context
        self.operator = operator
        self.threads = context.threads
        share = context.budget.total_bytes // _SCRATCH_SHARE // EDGE_BYTES
        fitting = max(PIECE_EDGES_MIN, min(PIECE_EDGES_MAX, share // 2))
        self.piece = 1 << (fitting.bit_length() - 1)
        self.threads = max(1, min(context.threads, share // self.piece))
        self._held = context.budget.reserve(operator)
        self._held.resize(min(self.threads * self.piece * EDGE_BYTES, context.budget.free_bytes))
        self._pool: ThreadPoolExecutor | None = None

    def array(self, length: int, dtype: npt.DTypeLike, fill: float | None = 0) -> Array:
        """Make an array: in memory while the budget lasts, then in a private file that is mapped.

        A mapped file costs no anonymous memory (contracts, 1); its blocks are there before it is mapped, so that a
        full disk is an error and no signal.
        """
        size = length * np.dtype(dtype).itemsize
        if size <= STATE_BYTES_MAX and self._held.try_resize(self._held.bytes + size):
            return np.full(length, fill, dtype) if fill else np.zeros(length, dtype)
        made = self._mapped(length, dtype, size)
        if fill:
            for part in self.parts(length):
                made[part] = fill
        return made

    def release(self, size: int) -> None:
        """Give back bytes of arrays that are gone."""
        self._held.resize(max(0, self._held.bytes - size))

    def parts(self, length: int) -> Iterator[slice]:
        """Cut `length` vertices into slices, so that what is computed on the way stays small."""
        for start in range(0, length, self.piece):
            yield slice(start, min(start + self.piece, length))

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Call `function` with each item in the run's threads; results come in the order of the items."""
        if self.threads == 1:
            for item in items:
                self.context.check()
                yield function(item)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="esker-graph")
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                self.context.check()
                waiting.append(self._pool.submit(function, item))
                if len(waiting) > self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Stop the threads and give the memory back."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._held.release()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _mapped(self, length: int, dtype: npt.DTypeLike, size: int) -> Array:
        path, fd = self.context.spill.new_file("state")
        try:
            os.posix_fallocate(fd, 0, max(size, 1))
        except OSError as error:
            raise self.context.spill.failure(error, size) from error
        finally:
            os.close(fd)
        mapped: Array = np.memmap(path, dtype, "r+", shape=(length,)).view(np.ndarray)
        path.unlink()
        return mapped


def distinct(values: Array) -> Array:
    """The distinct numbers in order.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]

    NumPy's own takes a hash table for this, which is several times slower on numbers of edges.
    """
    ordered = np.sort(values)
    if len(ordered) < 2:
        return ordered
    first = np.empty(len(ordered), bool)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]
