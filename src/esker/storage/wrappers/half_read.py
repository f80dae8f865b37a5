"""A tier that sometimes stops in the middle."""

from __future__ import annotations

from esker.storage.tier import ReadRequest
from esker.storage.wrapped import FaultyTier


class HalfReadTier(FaultyTier):
    """Give fewer bytes than were asked for, and say nothing of it: who reads has to notice."""

    kind = "half_read"

    def disturb(self, request: ReadRequest, data: bytes | memoryview) -> bytes | memoryview:
        return data[: self.place_in(len(data))]
