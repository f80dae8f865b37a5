"""Trying again: with back-off that grows, and jitter so that many who failed together do not come back together."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.seeded import generator
from esker.errors import EskerError, TierUnavailableError

Result = TypeVar("Result")
FIRST_SECONDS = 0.1
LONGEST_SECONDS = 20.0


class TemporaryFailure(Exception):
    """What failed may work when tried again; `str` says what it was."""


class Retry:
    """Call something until it works, at most `tries` times; `seed` makes the pauses repeatable.

    >>> from esker.core.clock import VirtualClock
    >>> answers = iter([TemporaryFailure("503 SlowDown"), b"bytes"])
    >>> def act() -> bytes:
    ...     answer = next(answers)
    ...     if isinstance(answer, Exception):
    ...         raise answer
    ...     return answer
    >>> Retry(3, clock=VirtualClock(), seed=1)("read 'a'", act)
    b'bytes'

    Pauses are half to all of 0.1, 0.2, 0.4 ... 20 s. Raises TierUnavailableError, naming what was done, when the last
    try failed.
    """

    def __init__(self, tries: int, *, clock: Clock = SYSTEM_CLOCK, seed: int | None = None) -> None:
        self._tries = tries
        self._clock = clock
        self._random = generator(seed if seed is not None else int.from_bytes(os.urandom(8), "big"))
        self.retried = 0

    def __call__(self, what: str, act: Callable[[], Result]) -> Result:
        start = self._clock.seconds()
        for tried in range(1, self._tries + 1):
            try:
                return act()
            except EskerError:
                raise
            except TemporaryFailure as failure:
                if tried == self._tries:
                    seconds = self._clock.seconds() - start
                    raise TierUnavailableError(
                        f"could not {what}: gave up after {tried} tries in {seconds:,.1f} s; the last failed with"
                        f" {failure}"
                    ) from failure
                self.retried += 1
                self._clock.sleep(self._pause(tried))
        raise AssertionError("tries is at least 1")

    def _pause(self, tried: int) -> float:
        longest = min(FIRST_SECONDS * 2.0 ** (tried - 1), LONGEST_SECONDS)
        return float(longest * (0.5 + 0.5 * self._random.random()))
