"""A tier that sometimes takes its time."""

from __future__ import annotations

from typing import Any

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.storage.tier import ReadRequest, Tier
from esker.storage.wrapped import FaultyTier


class SlowTier(FaultyTier):
    """Wait `seconds` before a request is answered; nothing else is wrong."""

    kind = "slow"

    def __init__(self, inner: Tier, *, seconds: float = 1.0, clock: Clock = SYSTEM_CLOCK, **chance: Any) -> None:
        super().__init__(inner, **chance)
        self._seconds = seconds
        self._wait_on = clock

    def disturb(self, request: ReadRequest, data: bytes | memoryview) -> bytes | memoryview:
        self._wait_on.sleep(self._seconds)
        return data
