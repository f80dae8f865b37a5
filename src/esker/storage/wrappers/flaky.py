"""A tier that sometimes does not answer."""

from __future__ import annotations

from esker.errors import TierUnavailableError
from esker.storage.tier import ReadRequest
from esker.storage.wrapped import FaultyTier


class FlakyTier(FaultyTier):
    """Raise TierUnavailableError for a request, as a store does that was asked again and again."""

    kind = "flaky"

    def disturb(self, request: ReadRequest, data: bytes | memoryview) -> bytes | memoryview:
        self.fail(TierUnavailableError(f"{self.uri} did not answer for {request.key!r} {self.drill}"))
