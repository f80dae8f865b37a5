"""A client's stream to the coordinator: calls that are said again until they are answered, or their time is over."""

from __future__ import annotations

import secrets
import threading
from typing import Any

from esker.cluster import wire
from esker.cluster.greeting import CLIENT, Caller
from esker.cluster.link import Link
from esker.cluster.messages import Answer, Done, Failed, Put, Query, Write
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import DeadlineExceededError, EskerError, PeerError, PeerUnreachableError
from esker.runtime.flight import Limits, Security

_REPEAT_SECONDS = 1.0


class _Waiting:
    __slots__ = ("answer", "data", "done")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.done = threading.Event()
        self.answer: Any = None


class Session:
    """Calls of one client, from any number of threads. A put that is said again is done once.

    Puts go one after the other: the coordinator takes a later one as the end of those before.

    While the coordinator is away a call waits, and goes on when it is back, until its deadline.
    """

    def __init__(self, location: str, security: Security, limits: Limits) -> None:
        self.location = location
        self._limits = limits
        self._lock = threading.Lock()
        self._putting = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._last = 0
        self._refused: EskerError | None = None
        caller = Caller(CLIENT, -2 - secrets.randbelow(1 << 62))
        self._link = Link(location, caller, security, self._hear, self._repeat_all, self._refuse)

    def next_number(self) -> int:
        """Give the number of the next call."""
        with self._lock:
            self._last += 1
            return self._last

    def put(self, writes: tuple[Write, ...]) -> Done | Failed:
        """Put, after the puts before; DeadlineExceededError when it takes too long, and may be done yet."""
        with self._putting:
            answer = self.call(Put(self.next_number(), writes))
        assert not isinstance(answer, Answer), "a put is done or fails"
        return answer

    def call(self, message: Put | Query, seconds: float | None = None) -> Done | Answer | Failed:
        """Say it, and wait for what comes back; DeadlineExceededError when that takes too long."""
        data = wire.encode(0, message)
        self._limits.check(len(data), f"a {type(message).__name__.lower()}")
        waiting = _Waiting(data)
        number = message[0]
        deadline = SYSTEM_CLOCK.seconds() + (self._limits.deadline_seconds if seconds is None else seconds)
        with self._lock:
            if self._refused is not None:
                raise self._refused
            self._waiting[number] = waiting
        try:
            self._link.send(data)
            while not waiting.done.wait(min(_REPEAT_SECONDS, max(deadline - SYSTEM_CLOCK.seconds(), 0.0))):
                if SYSTEM_CLOCK.seconds() >= deadline:
                    raise self._late(message)
                self._link.send(data)
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if isinstance(waiting.answer, EskerError):
            raise waiting.answer
        found: Done | Answer | Failed = waiting.answer
        return found

    def close(self) -> None:
        """End; calls that wait fail."""
        self._link.close()
        self._refuse(PeerUnreachableError(f"the connection to {self.location} was closed"))

    def _late(self, message: Put | Query) -> EskerError:
        if not self._link.is_open:
            return PeerUnreachableError(f"no coordinator can be reached at {self.location}")
        what = "the put may be done yet: put it again" if isinstance(message, Put) else "ask again"
        return DeadlineExceededError(f"the cluster at {self.location} did not answer in time; {what}")

    def _hear(self, data: bytes) -> None:
        _, message = wire.decode(data, wire.TO_CLIENTS)
        with self._lock:
            waiting = self._waiting.get(message[0])
        if waiting is not None:
            waiting.answer = message
            waiting.done.set()

    def _repeat_all(self) -> None:
        with self._lock:
            waiting = list(self._waiting.values())
        for one in waiting:
            self._link.send(one.data)

    def _refuse(self, error: EskerError) -> None:
        with self._lock:
            waiting = list(self._waiting.values())
            # What one call says that is wrong ends the stream; the next may be right.
            if type(error) is not PeerError:
                self._refused = error
        for one in waiting:
            one.answer = error
            one.done.set()
