"""A client's calls to a coordinator: what they share, whatever carries them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import NamedTuple

from esker.cluster import wire
from esker.cluster.messages import Answer, Done, Failed, Put, Query, Write
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import PeerError
from esker.runtime.flight import Limits


class Calls(ABC):
    """Calls of one client, from any number of threads.

    Puts go one after the other: the coordinator takes a later one as the end of those before.
    """

    def __init__(self) -> None:
        self._numbering = threading.Lock()
        self._putting = threading.Lock()
        self._last = 0

    def next_number(self) -> int:
        """Give the number of the next call."""
        with self._numbering:
            self._last += 1
            return self._last

    def put(
        self, writes: tuple[Write, ...], guards: tuple[tuple[str, int], ...] = (), drops: tuple[str, ...] = ()
    ) -> Done | Failed:
        """Put, after the puts before; DeadlineExceededError when it takes too long, and may be done yet."""
        with self._putting:
            answer = self.call(Put(self.next_number(), writes, guards, drops))
        assert not isinstance(answer, Answer), "a put is done or fails"
        return answer

    @abstractmethod
    def call(self, message: Put | Query, seconds: float | None = None) -> Done | Answer | Failed:
        """Say it, and wait for what comes back; DeadlineExceededError when that takes too long."""

    @abstractmethod
    def close(self) -> None:
        """End; calls that wait fail. Calling it again does nothing."""


class Words(NamedTuple):
    """A message as it is sent, when its time is over, and what to do then."""

    data: bytes
    deadline: float
    late: str


def worded(message: Put | Query, limits: Limits, seconds: float | None) -> Words:
    """Encode what is to be said, in so many seconds or in those of the limits; raises what `Limits.check` does."""
    data = wire.encode(0, message)
    limits.check(len(data), f"a {type(message).__name__.lower()}")
    deadline = SYSTEM_CLOCK.seconds() + (limits.deadline_seconds if seconds is None else seconds)
    return Words(data, deadline, "the put may be done yet: put it again" if isinstance(message, Put) else "ask again")


def put_forgotten(location: str) -> PeerError:
    """Say that a put may have been done, and that nobody knows."""
    return PeerError(
        f"the cluster at {location} has forgotten what this client had done, and cannot say whether this put was: "
        "look, and put it again if it was not"
    )
