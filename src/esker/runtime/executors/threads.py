"""Threads of this process: for Arrow kernels and our own, which release the GIL."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from esker.runtime.executor import Completion, Executor


class ThreadExecutor(Executor):
    """Run tasks in `worker_count` daemon threads, in the order they were handed over.

    >>> with ThreadExecutor(2) as executor:
    ...     tickets = [executor.submit(lambda n=n: n * n) for n in range(3)]
    ...     done = []
    ...     while len(done) < 3:
    ...         done += executor.completed()
    >>> sorted(completion.value for completion in done)
    [0, 1, 4]
    """

    concurrent = True

    def __init__(self, worker_count: int) -> None:
        self._tasks: queue.SimpleQueue[tuple[int, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        self._next_ticket = 0
        self._outstanding = 0
        self._closing = threading.Event()
        # Daemons: a user function that hangs must not keep the interpreter from leaving after Ctrl-C.
        self._workers = [
            threading.Thread(target=self._work, name=f"esker-worker-{n}", daemon=True) for n in range(worker_count)
        ]
        for worker in self._workers:
            worker.start()

    def submit(self, task: Callable[[], Any]) -> int:
        ticket = self._next_ticket
        self._next_ticket += 1
        self._outstanding += 1
        self._tasks.put((ticket, task))
        return ticket

    def completed(self) -> list[Completion]:
        if not self._outstanding:
            return []
        found = [self._done.get()]
        while not self._done.empty():
            found.append(self._done.get())
        self._outstanding -= len(found)
        return found

    def close(self) -> None:
        self._closing.set()
        for _ in self._workers:
            self._tasks.put(None)
        for worker in self._workers:
            worker.join()
        self._workers = []

    def _work(self) -> None:
        while (item := self._tasks.get()) is not None:
            if self._closing.is_set():
                continue
            ticket, task = item
            try:
                completion = Completion(ticket, task())
            except BaseException as error:  # noqa: BLE001  # the error is the task's outcome, the caller decides
                completion = Completion(ticket, error=error)
            self._done.put(completion)
            del item, task, completion  # hold no result while waiting for the next task
