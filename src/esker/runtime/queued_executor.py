"""What executors share that have a number of workers apart: jobs wait in order, run, and end."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from esker.runtime.executor import Completion, Executor


@dataclass(eq=False)
class Job:
    """A task on its way: waiting, at a worker, or done. Only a stream has a `window`."""

    ticket: int
    task: Callable[[], Any]
    window: int
    attempt: int
    done: bool = False
    value: Any = None
    error: BaseException | None = None


AnyJob = TypeVar("AnyJob", bound=Job)


class QueuedExecutor(Executor, Generic[AnyJob]):
    """Keeps the jobs of one run, at most `worker_count` of them with workers; a subclass brings the workers.

    It is used by one thread, which listens to the workers whenever it waits for something.
    """

    concurrent = True
    apart = True

    def __init__(self, worker_count: int, new_job: Callable[[int, Callable[[], Any], int, int], AnyJob]) -> None:
        self._worker_count = worker_count
        self._new_job = new_job
        self._waiting: deque[AnyJob] = deque()
        self._running: list[AnyJob] = []
        self._finished: list[AnyJob] = []
        # Tasks that `completed` has still to tell of.
        self._outstanding = 0
        self._next_ticket = 0
        self._check: Callable[[], None] = lambda: None

    @abstractmethod
    def _start(self, job: AnyJob) -> None:
        """Hand a job to a worker, and enter it in `_running`."""

    @abstractmethod
    def _listen(self) -> None:
        """Wait until a worker says something, or somebody wakes, and take what was said."""

    @abstractmethod
    def _items(self, job: AnyJob) -> Generator[Any]:
        """Give the items of a stream, and `_drop` it at the end."""

    @abstractmethod
    def _end(self, jobs: Sequence[AnyJob], *, force: bool) -> None:
        """End running jobs and take them out of `_running`; without `force` they have a moment to end by themselves."""

    def submit(self, task: Callable[[], Any], attempt: int = 0) -> int:
        self._outstanding += 1
        return self._add(task, 0, attempt).ticket

    def completed(self) -> list[Completion]:
        while self._outstanding and not self._finished:
            self._listen()
        found, self._finished = self._finished, []
        self._outstanding -= len(found)
        return [Completion(job.ticket, job.value, job.error) for job in found]

    def stream(self, task: Callable[[], Iterable[Any]], window: int, attempt: int = 0) -> Generator[Any]:
        return self._items(self._add(task, window, attempt))

    def watch(self, check: Callable[[], None]) -> None:
        self._check = check

    def cancel(self, tickets: Iterable[int]) -> None:
        unwanted = set(tickets)

        def is_wanted(job: AnyJob) -> bool:
            return job.window > 0 or job.ticket not in unwanted

        before = self._job_count()
        self._waiting = deque(filter(is_wanted, self._waiting))
        self._finished = [job for job in self._finished if is_wanted(job)]
        self._end([job for job in self._running if not is_wanted(job)], force=True)
        self._outstanding -= before - self._job_count()
        self._assign()

    def _job_count(self) -> int:
        return len(self._waiting) + len(self._finished) + len(self._running)

    def _add(self, task: Callable[[], Any], window: int, attempt: int) -> AnyJob:
        job = self._new_job(self._next_ticket, task, window, attempt)
        self._next_ticket += 1
        self._waiting.append(job)
        self._assign()
        return job

    def _assign(self) -> None:
        while self._waiting and len(self._running) < self._worker_count:
            self._start(self._waiting.popleft())

    def _finish(self, job: AnyJob) -> None:
        """A job has its value or its error."""
        job.done = True
        if not job.window:
            self._finished.append(job)

    def _drop(self, job: AnyJob) -> None:
        """Nobody reads a stream any more."""
        with suppress(ValueError):
            self._waiting.remove(job)
        if job in self._running:
            self._end([job], force=False)
        self._assign()
