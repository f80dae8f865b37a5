"""Threads of this process: for Arrow kernels and our own, which release the GIL."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any

from esker.runtime.attempt import Attempt, attempting
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
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        self._next_ticket = 0
        self._pending: set[int] = set()
        self._unwanted: set[int] = set()
        # Which thread is at which ticket.
        self._at: dict[int, int] = {}
        self._closing = threading.Event()
        self._streams: list[_Stream] = []
        # Daemons: a user function that hangs must not keep the interpreter from leaving after Ctrl-C.
        self._workers = [
            threading.Thread(target=self._work, name=f"esker-worker-{n}", daemon=True) for n in range(worker_count)
        ]
        for worker in self._workers:
            worker.start()

    def submit(self, task: Callable[[], Any], attempt: int = 0) -> int:
        ticket = self._next_ticket
        self._next_ticket += 1
        self._pending.add(ticket)

        def run() -> None:
            if ticket in self._unwanted:
                return
            self._at[threading.get_ident()] = ticket
            try:
                with attempting(Attempt(attempt)):
                    completion = Completion(ticket, task())
            except BaseException as error:  # noqa: BLE001  # the error is the task's outcome, the caller decides
                completion = Completion(ticket, error=error)
            self._done.put(completion)

        self._tasks.put(run)
        return ticket

    def completed(self) -> list[Completion]:
        found: list[Completion] = []
        while self._pending and not found:
            done = [self._done.get()]
            while not self._done.empty():
                done.append(self._done.get())
            found = [completion for completion in done if completion.ticket in self._pending]
            self._pending.difference_update(completion.ticket for completion in found)
        return found

    def stream(self, task: Callable[[], Iterable[Any]], window: int, attempt: int = 0) -> Generator[Any]:
        stream = _Stream(task, window, attempt)
        self._streams.append(stream)
        self._tasks.put(stream.run)
        return stream.items()

    def cancel(self, tickets: Iterable[int]) -> None:
        unwanted = self._pending.intersection(tickets)
        self._unwanted |= unwanted
        self._pending -= unwanted

    def close(self) -> None:
        self._closing.set()
        for stream in self._streams:
            stream.stop()
        for _ in self._workers:
            self._tasks.put(None)
        for worker in self._workers:
            if self._at.get(worker.ident or 0) not in self._unwanted:
                worker.join()
        self._workers = []

    def _work(self) -> None:
        while (run := self._tasks.get()) is not None:
            if not self._closing.is_set():
                run()
            del run  # hold no result while waiting for the next task


class _Stream:
    """One task's items on their way from its thread to the reader's."""

    def __init__(self, task: Callable[[], Iterable[Any]], window: int, attempt: int) -> None:
        self._task = task
        self._attempt = attempt
        self._room = threading.Semaphore(window)
        self._items: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
        self._stopped = False

    def run(self) -> None:
        """Make the items, in a worker's thread."""
        error: BaseException | None = None
        try:
            with attempting(Attempt(self._attempt)):
                self._make()
        except BaseException as raised:  # noqa: BLE001  # the reader raises it
            error = raised
        self._items.put((True, error))

    def items(self) -> Generator[Any]:
        """Give the items, in the reader's thread."""
        try:
            while True:
                last, item = self._items.get()
                if last:
                    if item is not None:
                        raise item
                    return
                self._room.release()
                yield item
        finally:
            self.stop()

    def stop(self) -> None:
        """Make no more."""
        self._stopped = True
        self._room.release()

    def _is_stopped(self) -> bool:
        return self._stopped

    def _make(self) -> None:
        if self._is_stopped():
            return
        items = iter(self._task())
        try:
            for item in items:
                self._room.acquire()
                if self._is_stopped():
                    return
                self._items.put((False, item))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
