"""Objects in memory: the reference of the family, for tests and small things."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from esker.core.checksum import checksum_bytes
from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.cost import Cost
from esker.core.extent import ByteRange
from esker.errors import InputFileError, OutputExistsError, TierError
from esker.storage.devices import device_profile
from esker.storage.keys import check_key, check_ranges
from esker.storage.options import check_options
from esker.storage.tier import Capability, Stored, Tier

# The objects of every named memory tier of this process: opening a name again finds them.
_PLACES: dict[str, dict[str, bytes]] = {}
_WRITING = threading.Lock()


class MemoryTier(Tier):
    """Keep objects in this process, shared by name.

    >>> tier = MemoryTier("example")
    >>> _ = tier.write("a/b", b"every byte")
    >>> tier.read("a/b", [ByteRange(0, 5)]), tier.counted.requests
    ([<memory at ...>], 2)
    >>> tier.delete("a/b")
    """

    capability = Capability(random_read=True, needs_thaw=False, append_only=False)

    def __init__(self, name: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(f"memory:{name}", device_profile("memory"))
        self._objects = _PLACES.setdefault(name, {})
        self._clock = clock

    @classmethod
    def open(cls, place: str, options: Mapping[str, str]) -> Self:
        check_options("memory", options, ())
        return cls(place)

    def write(self, key: str, data: Path | bytes) -> Stored:
        check_key(key)
        start = self._clock.seconds()
        whole = data if isinstance(data, bytes) else _read_source(data)
        with _WRITING:
            if key in self._objects:
                raise OutputExistsError(f"{self.uri} has an object {key!r} already; objects are never overwritten")
            self._objects[key] = whole
        self.count(Cost(bytes=len(whole), requests=1, seconds=self._clock.seconds() - start))
        return Stored(key, len(whole), checksum_bytes(whole))

    def read(self, key: str, ranges: Sequence[ByteRange]) -> list[bytes | memoryview]:
        start = self._clock.seconds()
        whole = self._objects.get(check_key(key))
        if whole is None:
            raise TierError(f"{self.uri} has no object {key!r}")
        check_ranges(self.uri, key, len(whole), ranges)
        found: list[bytes | memoryview] = [memoryview(whole)[asked.start : asked.stop] for asked in ranges]
        self.count(Cost(sum(map(len, found)), len(found), seconds=self._clock.seconds() - start))
        return found

    def list(self, prefix: str = "") -> Iterator[Stored]:
        for key in sorted(self._objects):
            if key.startswith(prefix):
                yield Stored(key, len(self._objects[key]), checksum_bytes(self._objects[key]))

    def delete(self, key: str) -> None:
        self._objects.pop(check_key(key), None)


def _read_source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputFileError(f"cannot read {path}: {error.strerror}") from error
