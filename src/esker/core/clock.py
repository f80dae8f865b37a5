"""Time comes from here, so that tests and simulated devices can bring their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the engine asks for time: seconds that only grow, and a wall time for people."""

    def seconds(self) -> float:
        """Monotonic seconds since some fixed moment."""

    def wall_seconds(self) -> float:
        """Seconds since 1970-01-01 UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def seconds(self) -> float:
        return time.perf_counter()

    def wall_seconds(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class VirtualClock:
    """A clock that moves only when told to: simulated devices and tests run on it.

    >>> clock = VirtualClock()
    >>> clock.sleep(71.0)
    >>> clock.seconds()
    71.0
    """

    def __init__(self, start_seconds: float = 0.0) -> None:
        self._now = start_seconds

    def seconds(self) -> float:
        return self._now

    def wall_seconds(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)


SYSTEM_CLOCK = SystemClock()
