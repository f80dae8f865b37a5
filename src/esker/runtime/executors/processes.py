"""Worker processes: for Python functions, which hold the interpreter's lock."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from esker.errors import WorkerLostError
from esker.runtime import frames
from esker.runtime.pickled import load
from esker.runtime.pool import Worker, WorkerPool, current_setting, shared_pool
from esker.runtime.queued_executor import Job, QueuedExecutor
from esker.runtime.worker import load_error


@dataclass(eq=False)
class _Job(Job):
    """A job, with the worker that has it, and the items that came from there."""

    worker: Worker | None = None
    items: deque[Any] = field(default_factory=deque)

    @property
    def at(self) -> Worker:
        """The worker of a job that runs."""
        assert self.worker is not None, "it runs"
        return self.worker


class ProcessExecutor(QueuedExecutor[_Job]):
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

    def __init__(self, worker_count: int) -> None:
        super().__init__(worker_count, _Job)
        self._pool: WorkerPool = shared_pool()
        self._setting = current_setting()
        self._idle: list[Worker] = []
        # Written to by `wake`, from any thread, until it is closed.
        self._wake_lock = threading.Lock()
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def wake(self) -> None:
        with self._wake_lock:
            if self._wake_fd >= 0:
                os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        with self._wake_lock:
            if self._wake_fd >= 0:
                os.close(self._wake_fd)
                self._wake_fd = -1
        self._waiting.clear()
        self._end(self._running, force=False)
        for worker in self._idle:
            self._pool.give_back(worker)
        self._idle.clear()

    def _start(self, job: _Job) -> None:
        worker = job.worker = self._idle.pop() if self._idle else self._pool.borrow()
        # Ctrl-C may come at any moment from here on: the worker must not be taken for idle when the task is there.
        self._running.append(job)
        try:
            worker.start(job.task, job.attempt, job.window, self._setting)
        except OSError:
            self._lost(job)
        except BaseException as error:
            self._running.remove(job)
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
                    job.at.credit(taken)
                    taken = 0
                yield job.items.popleft()
            if job.error is not None:
                raise job.error
        finally:
            job.items.clear()
            self._drop(job)

    def _end(self, jobs: Sequence[_Job], *, force: bool) -> None:
        workers = [job.at for job in jobs]
        self._running = [job for job in self._running if job not in jobs]
        for worker in workers:
            if force:
                self._pool.end(worker)
            else:
                worker.stop()
        if not force:
            self._pool.give_back_stopped(workers)
            return
        for worker in workers:
            self._pool.exit_status(worker)  # known once it is gone

    def _listen(self) -> None:
        self._assign()
        poll = select.poll()
        jobs = {job.at.fileno(): job for job in self._running}
        for fd in jobs:
            poll.register(fd, select.POLLIN)
        poll.register(self._wake_fd, select.POLLIN)
        for fd, _ in poll.poll() if jobs else ():
            if fd == self._wake_fd:
                os.eventfd_read(fd)
                self._check()
            else:
                self._hear(jobs[fd])
        self._assign()

    def _hear(self, job: _Job) -> None:
        frame = job.at.receive()
        if frame is None:
            self._lost(job)
        elif frame.kind == frames.ITEM:
            job.items.append(load(frame.data, frame.buffers))
        else:
            self._running.remove(job)
            self._idle.append(job.at)
            self._told(job, frame)

    def _told(self, job: _Job, frame: frames.Frame) -> None:
        try:
            if frame.kind == frames.FAILED:
                job.error = load_error(frame.data)
            else:
                job.value = load(frame.data, frame.buffers)
        except Exception as error:  # noqa: BLE001  # a result that cannot be read is the task's error
            job.error = error
        self._finish(job)

    def _lost(self, job: _Job) -> None:
        self._running.remove(job)
        worker = job.at
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
