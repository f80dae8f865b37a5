"""Work done a little ahead of whoever reads its results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def made_ahead(jobs: Iterator[Callable[[], T]], count: int) -> Iterator[T]:
    """Yield what the jobs return, in their order, made in one thread up to `count` jobs ahead of the reader.

    >>> list(made_ahead(iter([lambda: 1, lambda: 2, lambda: 3]), 2))
    [1, 2, 3]

    `jobs` are taken in the reader's thread, and never two done at once. The first result is not kept waiting for
    jobs after it, the second for one, and so on. What a job raises is raised in its place; a reader that leaves waits
    for the job that runs, and no other begins.
    """
    waiting: deque[Future[T]] = deque()
    ahead = 0
    with ThreadPoolExecutor(1, thread_name_prefix="esker-ahead") as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
                    ahead = min(ahead + 1, count)
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
