"""The reference: a task runs in the caller's thread when its completion is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any

from esker.runtime.attempt import Attempt, attempting
from esker.runtime.executor import Completion, Executor


class InlineExecutor(Executor):
    """Run tasks one after the other, in order, in the caller's thread.

    >>> with InlineExecutor() as executor:
    ...     ticket = executor.submit(lambda: 6 * 7)
    ...     executor.completed(), list(executor.stream(lambda: "ab", 1))
    ([Completion(ticket=0, value=42, error=None)], ['a', 'b'])
    """

    def __init__(self, worker_count: int = 1) -> None:
        self._tasks: deque[tuple[int, Callable[[], Any], int]] = deque()
        self._next_ticket = 0

    def submit(self, task: Callable[[], Any], attempt: int = 0) -> int:
        ticket = self._next_ticket
        self._next_ticket += 1
        self._tasks.append((ticket, task, attempt))
        return ticket

    def completed(self) -> list[Completion]:
        if not self._tasks:
            return []
        ticket, task, attempt = self._tasks.popleft()
        try:
            with attempting(Attempt(attempt)):
                return [Completion(ticket, task())]
        except Exception as error:  # noqa: BLE001  # the error is the task's outcome, the caller decides
            return [Completion(ticket, error=error)]

    def stream(self, task: Callable[[], Iterable[Any]], window: int, attempt: int = 0) -> Generator[Any]:
        items = iter(task())
        try:
            yield from items
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def cancel(self, tickets: Iterable[int]) -> None:
        unwanted = set(tickets)
        self._tasks = deque(task for task in self._tasks if task[0] not in unwanted)

    def close(self) -> None:
        self._tasks.clear()
