"""A cold tier whose restored copies sometimes expire before they are read."""

from __future__ import annotations

from esker.errors import NotThawedError
from esker.storage.tier import ReadRequest
from esker.storage.wrapped import FaultyTier


class ExpiredRestoreTier(FaultyTier):
    """Raise NotThawedError for an object that was restored a moment ago."""

    kind = "expired_restore"

    def disturb(self, request: ReadRequest, data: bytes | memoryview) -> bytes | memoryview:
        self.fail(NotThawedError(f"the restored copy of {request.key!r} on {self.uri} has expired {self.drill}"))
