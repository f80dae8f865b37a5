"""An object of a tier as a file to read: named, measured, opened, and known again when it changes."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from esker.core.extent import ByteRange
from esker.storage.tier import ReadRequest, Tier


@dataclass(frozen=True, eq=False)
class TierFile:
    """An object that is read as a file; it was not frozen by us, so that somebody may write over it."""

    tier: Tier
    key: str

    @property
    def name(self) -> str:
        """The last word of its key."""
        return self.key.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.tier.uri.partition('?')[0]}/{self.key}"

    def signature(self) -> tuple[int, str]:
        """Give its bytes and what the store calls this version; TierError when it is not there."""
        found = self.tier.stat(self.key)
        return found.bytes, found.checksum or ""

    def open(self, size_bytes: int, ahead_bytes: int, ranges: Sequence[ByteRange] = ()) -> TierReader:
        """Open it: `ranges` are fetched now, side by side, others when asked for, `ahead_bytes` at least."""
        return TierReader(self, size_bytes, ahead_bytes, ranges)


class TierReader(io.RawIOBase):
    """Read an object from any byte on; holds what was fetched first, and the last stretch that was read ahead.

    >>> from esker.storage.tiers.memory import MemoryTier
    >>> tier = MemoryTier("reader")
    >>> _ = tier.write("a", b"every byte of it")
    >>> reader = TierFile(tier, "a").open(16, ahead_bytes=8)
    >>> bytes(reader.read(5)), bytes(reader.read(3)), tier.counted.requests
    (b'every', b' by', 2)
    """

    def __init__(self, file: TierFile, size_bytes: int, ahead_bytes: int, ranges: Sequence[ByteRange]) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._ahead_bytes = ahead_bytes
        self._position = 0
        requests = [ReadRequest(file.key, part) for part in ranges if part.length]
        held = sorted((request.range.start, memoryview(data)) for request, data in file.tier.fetch(requests))
        self._starts = [start for start, _ in held]
        self._held = [data for _, data in held]
        self._ahead = (0, memoryview(b""))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def size(self) -> int:
        """Give the size of the whole object; pyarrow asks for it."""
        return self._size_bytes

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes, or as many as there are."""
        left = max(self._size_bytes - self._position, 0)
        length = left if size < 0 else min(size, left)
        found = self._find(self._position, self._position + length)
        self._position += length
        return found  # type: ignore[return-value]  # a view does for whoever reads files

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader passes
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _find(self, start: int, stop: int) -> memoryview:
        if start == stop:
            return memoryview(b"")
        number = bisect_right(self._starts, start) - 1
        candidates = [(self._starts[number], self._held[number])] if number >= 0 else []
        for first, data in [*candidates, self._ahead]:
            if first <= start and stop <= first + len(data):
                return data[start - first : stop - first]
        ahead = ByteRange(start, min(max(stop, start + self._ahead_bytes), self._size_bytes))
        (found,) = self._file.tier.read(self._file.key, [ahead])
        self._ahead = (start, memoryview(found))
        return self._ahead[1][: stop - start]
