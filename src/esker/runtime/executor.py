"""An executor runs tasks somewhere: in this thread, in threads, in processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Completion:
    """A finished task: its ticket and either a value or the error it raised."""

    ticket: int
    value: Any = None
    error: BaseException | None = None


class Executor(ABC):
    """Runs tasks that share nothing but what they were given.

    `submit` and `stream` never block, `completed` waits for at least one submitted task (and returns nothing only when
    none is left), `close` waits for running tasks and drops those that have not started. A context manager, used by
    one thread. `attempt` counts how often a task was tried before; see `esker.runtime.attempt`.
    """

    #: True when tasks run while the caller does something else.
    concurrent: bool = False
    #: True when a task and its results are copied: what it holds must be picklable, what it changes is its own.
    apart: bool = False

    @abstractmethod
    def submit(self, task: Callable[[], Any], attempt: int = 0) -> int:
        """Hand over a task; the ticket names it in `completed`."""

    @abstractmethod
    def completed(self) -> list[Completion]:
        """Wait for and return what has finished since the last call."""

    @abstractmethod
    def stream(self, task: Callable[[], Iterable[Any]], window: int, attempt: int = 0) -> Generator[Any]:
        """Hand over a task that makes items, and give them as they come; its error is raised where it came.

        At most `window` items wait to be taken. Closing the generator ends the task, and closes what it iterates.
        """

    @abstractmethod
    def cancel(self, tickets: Iterable[int]) -> None:
        """Want nothing of these submitted tasks any more: `completed` will not tell of them.

        Those that have not started never do. Those that run are ended at once where they run in a process of their own,
        which is gone when this returns; elsewhere they run on, and `close` does not wait for them.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop; calling it again does nothing."""

    def watch(self, check: Callable[[], None]) -> None:  # noqa: B027  # most need not
        """Have `check` called by whoever waits in `completed` or for a stream when `wake` is: it may raise."""

    def wake(self) -> None:  # noqa: B027  # most need not
        """From any thread: let whoever waits look around. Where tasks cannot be left alone it waits for them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
