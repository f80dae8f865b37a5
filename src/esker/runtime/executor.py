"""An executor runs tasks somewhere: in this thread, in threads, later in processes and on a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Completion:
    """A finished task: its ticket and either a value or the error it raised."""

    ticket: int
    value: Any = None
    error: BaseException | None = None


class Executor(ABC):
    """Runs tasks that share nothing but what they were given.

    `submit` never blocks, `completed` waits for at least one task (and returns nothing only when no task is left),
    `close` waits for running tasks and drops those that have not started. A context manager.
    """

    #: True when tasks run while the caller does something else.
    concurrent: bool = False

    @abstractmethod
    def submit(self, task: Callable[[], Any]) -> int:
        """Hand over a task; the ticket names it in `completed`."""

    @abstractmethod
    def completed(self) -> list[Completion]:
        """Wait for and return what has finished since the last call."""

    @abstractmethod
    def close(self) -> None:
        """Stop; calling it again does nothing."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
