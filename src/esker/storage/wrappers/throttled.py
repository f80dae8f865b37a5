"""A tier behind a narrow link."""

from __future__ import annotations

from typing import Any

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.errors import OptionError
from esker.storage.tier import ReadRequest, Tier
from esker.storage.wrapped import FaultyTier


class ThrottledTier(FaultyTier):
    """Let through `bytes_per_second`, after `request_seconds`; nothing else is wrong."""

    kind = "throttled"

    def __init__(
        self,
        inner: Tier,
        *,
        bytes_per_second: float = 50e6,
        request_seconds: float = 0.0,
        clock: Clock = SYSTEM_CLOCK,
        rate: float = 1.0,
        **chance: Any,
    ) -> None:
        if bytes_per_second <= 0:
            raise OptionError(f"bytes_per_second={bytes_per_second!r} lets nothing through")
        super().__init__(inner, rate=rate, **chance)
        self._bytes_per_second = bytes_per_second
        self._request_seconds = request_seconds
        self._wait_on = clock

    def disturb(self, request: ReadRequest, data: bytes | memoryview) -> bytes | memoryview:
        self._wait_on.sleep(self._request_seconds + len(data) / self._bytes_per_second)
        return data
