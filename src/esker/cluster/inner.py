"""A client inside the coordinator's own process: calls reach the machine without a stream between."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue

from esker.cluster import wire
from esker.cluster.calls import Calls
from esker.cluster.messages import Answer, Done, Failed, Put, Query
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import CancelledError, DeadlineExceededError

_REPEAT_SECONDS = 1.0


class InnerSession(Calls):
    """Calls of one question: all of them end at `deadline` (of the system's clock), or when `cancelled` says so.

    `deliver` gives the machine a message in this client's name; what the machine says comes by `send`.
    """

    def __init__(
        self, number: int, deliver: Callable[[int, Put | Query], None], deadline: float, cancelled: Callable[[], bool]
    ) -> None:
        super().__init__()
        self.number = number
        self.deadline = deadline
        self._deliver = deliver
        self._cancelled = cancelled
        self._waiting: dict[int, SimpleQueue[Done | Answer | Failed]] = {}

    def call(self, message: Put | Query, seconds: float | None = None) -> Done | Answer | Failed:
        """Say it, again each second, and wait for what comes back; DeadlineExceededError, CancelledError."""
        end = self.deadline if seconds is None else min(self.deadline, SYSTEM_CLOCK.seconds() + seconds)
        answers = self._waiting[message[0]] = SimpleQueue()
        try:
            while True:
                self.check(end)
                self._deliver(self.number, message)
                try:
                    return answers.get(timeout=min(max(end - SYSTEM_CLOCK.seconds(), 0.0), _REPEAT_SECONDS))
                except Empty:
                    continue
        finally:
            del self._waiting[message[0]]

    def check(self, end: float | None = None) -> None:
        """Raise DeadlineExceededError when the time is over, CancelledError when nobody waits any more."""
        if self._cancelled():
            raise CancelledError("who asked has left")
        if SYSTEM_CLOCK.seconds() >= (self.deadline if end is None else end):
            raise DeadlineExceededError("the cluster did not answer in time; ask again, with a longer deadline")

    # ---- as the coordinator's process has a connection ----

    def send(self, data: bytes) -> None:
        """Take what the machine says to this client."""
        _, message = wire.decode(data, wire.TO_CLIENTS)
        answers = self._waiting.get(message[0])
        if answers is not None:
            answers.put(message)

    def heard(self) -> None:
        """Learn that this client is there: it always is."""

    def close(self) -> None:
        """End; nothing is held."""
