"""Worker processes: for Python functions, which hold the interpreter's lock."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from esker.errors import WorkerLostError
from esker.runtime import frames
from esker.runtime.executor import Completion, Executor
from esker.runtime.pickled import load
from esker.runtime.pool import Worker, WorkerPool, current_setting, shared_pool
from esker.runtime.worker import load_error


@dataclass(eq=False)
class _Job:
    """A task on its way: waiting, at a worker, or done."""

    ticket: int
    task: Callable[[], Any]
    window: int
    attempt: int
    items: deque[Any] = field(default_factory=deque)
    done: bool = False
    value: Any = None
    error: BaseException | None = None


class ProcessExecutor(Executor):
    """Run tasks in `worker_count` processes, in the order they were handed over.

    >>> with ProcessExecutor(2) as executor:
    ...     tickets = [executor.submit(lambda n=n: n * n) for n in range(3)]
    ...     done = []
    ...     while len(done) < 3:
    ...         done += executor.completed()
    >>> sorted(completion.value for completion in done)
    [0, 1, 4]

    Tasks are pickled, functions by value where no module holds them. A process that ends in the middle of a task makes
    that task fail with WorkerLostError, which may be tried again. The processes come from the pool and return to it.
    """

    concurrent = True
    apart = True

    def __init__(self, worker_count: int) -> None:
        self._worker_count = worker_count
        self._pool: WorkerPool = shared_pool()
        self._setting = current_setting()
        self._waiting: deque[_Job] = deque()
        self._running: dict[Worker, _Job] = {}
        self._idle: list[Worker] = []
        self._finished: list[_Job] = []
        self._outstanding = 0
        self._next_ticket = 0
        self._check: Callable[[], None] = lambda: None
        # Written to by `wake`, from any thread, until it is closed.
        self._wake_lock = threading.Lock()
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def submit(self, task: Callable[[], Any], attempt: int = 0) -> int:
        self._outstanding += 1
        return self._add(_Job(self._ticket(), task, 0, attempt)).ticket

    def completed(self) -> list[Completion]:
        while self._outstanding and not self._finished:
            self._listen()
        found, self._finished = self._finished, []
        self._outstanding -= len(found)
        return [Completion(job.ticket, job.value, job.error) for job in found]

    def stream(self, task: Callable[[], Iterable[Any]], window: int, attempt: int = 0) -> Generator[Any]:
        return self._items(self._add(_Job(self._ticket(), task, window, attempt)))

    def watch(self, check: Callable[[], None]) -> None:
        self._check = check

    def wake(self) -> None:
        with self._wake_lock:
            if self._wake_fd >= 0:
                os.eventfd_write(self._wake_fd, 1)

    def cancel(self, tickets: Iterable[int]) -> None:
        unwanted = set(tickets)
        before = len(self._waiting) + len(self._finished) + len(self._running)
        self._waiting = deque(job for job in self._waiting if job.window or job.ticket not in unwanted)
        self._finished = [job for job in self._finished if job.ticket not in unwanted]
        ended = [worker for worker, job in self._running.items() if not job.window and job.ticket in unwanted]
        for worker in ended:
            del self._running[worker]
            self._pool.end(worker)
        for worker in ended:
            self._pool.exit_status(worker)  # known once it is gone
        self._outstanding -= before - len(self._waiting) - len(self._finished) - len(self._running)
        self._assign()

    def close(self) -> None:
        with self._wake_lock:
            if self._wake_fd >= 0:
                os.close(self._wake_fd)
                self._wake_fd = -1
        self._waiting.clear()
        for worker in self._running:
            worker.stop()
        running, self._running = [*self._running], {}
        self._pool.give_back_stopped(running)
        for worker in self._idle:
            self._pool.give_back(worker)
        self._idle.clear()

    def _ticket(self) -> int:
        self._next_ticket += 1
        return self._next_ticket - 1

    def _add(self, job: _Job) -> _Job:
        self._waiting.append(job)
        self._assign()
        return job

    def _assign(self) -> None:
        while self._waiting and (self._idle or len(self._running) < self._worker_count):
            job = self._waiting.popleft()
            worker = self._idle.pop() if self._idle else self._pool.borrow()
            # Ctrl-C may come at any moment from here on: the worker must not be taken for idle when the task is there.
            self._running[worker] = job
            try:
                worker.start(job.task, job.attempt, job.window, self._setting)
            except OSError:
                del self._running[worker]
                self._lost(worker, job)
            except BaseException as error:
                del self._running[worker]
                # A task that cannot be pickled was not sent; nobody knows what else was.
                if worker.whole and isinstance(error, Exception):
                    self._idle.append(worker)
                else:
                    self._pool.end(worker)
                raise

    def _items(self, job: _Job) -> Generator[Any]:
        taken = 0
        try:
            while True:
                while not job.items and not job.done:
                    self._listen()
                if not job.items:
                    break
                taken += 1
                # Half a window at a time: a word for each item would cost more than the item.
                if taken * 2 >= job.window and not job.done:
                    self._worker_of(job).credit(taken)
                    taken = 0
                yield job.items.popleft()
            if job.error is not None:
                raise job.error
        finally:
            self._drop(job)

    def _worker_of(self, job: _Job) -> Worker:
        return next(worker for worker, running in self._running.items() if running is job)

    def _drop(self, job: _Job) -> None:
        """Nobody reads the job any more."""
        job.items.clear()
        with suppress(ValueError):
            self._waiting.remove(job)
        if not job.done:
            for worker, running in list(self._running.items()):
                if running is job:
                    worker.stop()
                    del self._running[worker]
                    self._pool.give_back_stopped([worker])
        self._assign()

    def _listen(self) -> None:
        """Wait until a worker says something, and take all that was said."""
        self._assign()
        poll = select.poll()
        workers = {worker.fileno(): worker for worker in self._running}
        for fd in workers:
            poll.register(fd, select.POLLIN)
        poll.register(self._wake_fd, select.POLLIN)
        for fd, _ in poll.poll() if workers else ():
            if fd == self._wake_fd:
                os.eventfd_read(fd)
                self._check()
                continue
            worker = workers[fd]
            job = self._running[worker]
            frame = worker.receive()
            if frame is None:
                del self._running[worker]
                self._lost(worker, job)
            elif frame.kind == frames.ITEM:
                job.items.append(load(frame.data, frame.buffers))
            else:
                del self._running[worker]
                self._idle.append(worker)
                self._end(job, frame)
        self._assign()

    def _end(self, job: _Job, frame: frames.Frame) -> None:
        try:
            if frame.kind == frames.FAILED:
                job.error = load_error(frame.data)
            else:
                job.value = load(frame.data, frame.buffers)
        except Exception as error:  # noqa: BLE001  # a result that cannot be read is the task's error
            job.error = error
        self._finish(job)

    def _finish(self, job: _Job) -> None:
        job.done = True
        if not job.window:
            self._finished.append(job)

    def _lost(self, worker: Worker, job: _Job) -> None:
        status = self._pool.exit_status(worker)
        mark, stack = worker.last_words()
        worker.close()
        job.error = WorkerLostError(f"a worker process {_describe(status)}", exit_status=status, mark=mark, stack=stack)
        self._finish(job)


def _describe(status: int | None) -> str:
    if status is None:
        return "is gone"
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    out_of_memory = ", as the system does when memory runs out" if -status == signal.SIGKILL else ""
    return f"was ended by {name}{out_of_memory}"
