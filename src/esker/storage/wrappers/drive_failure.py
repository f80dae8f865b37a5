"""A tier whose drive breaks down, and stays so until it is mended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esker.errors import TierError
from esker.storage.tier import ReadRequest
from esker.storage.wrapped import FaultyTier


class DriveFailureTier(FaultyTier):
    """Fail one request and all after it, until `mend` is called."""

    kind = "drive_failure"
    broken = False

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        if self.broken:
            self.fail(TierError(f"no drive of {self.uri} is working {self.drill}; mend it and run the same again"))
        yield from super().fetch(requests)

    def disturb(self, request: ReadRequest, data: bytes | memoryview) -> bytes | memoryview:
        self.broken = True
        self.fail(TierError(f"a drive of {self.uri} failed while it read {request.key!r} {self.drill}"))

    def mend(self) -> None:
        """Put in another drive."""
        self.broken = False
