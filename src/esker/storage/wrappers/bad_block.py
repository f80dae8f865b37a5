"""A tier with blocks that cannot be read any more, or read wrong."""

from __future__ import annotations

from typing import Any

from esker.errors import PayloadCorruptError
from esker.storage.tier import ReadRequest, Tier
from esker.storage.wrapped import FaultyTier


class BadBlockTier(FaultyTier):
    """Give a range with one byte changed, or with `loud` raise PayloadCorruptError as a drive does that noticed."""

    kind = "bad_block"

    def __init__(self, inner: Tier, *, loud: bool = False, **chance: Any) -> None:
        super().__init__(inner, **chance)
        self._loud = loud

    def disturb(self, request: ReadRequest, data: bytes | memoryview) -> bytes | memoryview:
        at = self.place_in(len(data))
        if self._loud:
            self.fail(
                PayloadCorruptError(
                    f"{self.uri} cannot read the block at byte {request.range.start + at:,} of {request.key!r}"
                    f" {self.drill}"
                )
            )
        if not len(data):
            return data
        changed = bytearray(data)
        changed[at] ^= 0x55
        return bytes(changed)
