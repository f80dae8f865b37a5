"""The face of a storage tier: write once, read ranges, list, delete, and say beforehand what reading costs."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, Self, runtime_checkable

from esker.core.cost import NO_COST, Cost
from esker.core.device_profile import DeviceProfile
from esker.core.extent import ByteRange, Extent
from esker.errors import TierError
from esker.storage.device_event import DeviceEvent


@dataclass(frozen=True)
class Capability:
    """What a tier can do; planners ask this, never the class.

    `random_read`: any range at about the same cost. `needs_thaw`: objects may be cold (see Recall).
    `append_only`: room comes back only when a whole medium is rewritten.
    """

    random_read: bool
    needs_thaw: bool
    append_only: bool


@dataclass(frozen=True)
class Stored:
    """An object of a tier; `checksum` is None where the tier keeps none of its own."""

    key: str
    bytes: int
    checksum: str | None = None


class ReadRequest(NamedTuple):
    """Bytes of one object: the unit in which reads are ordered, priced and counted."""

    key: str
    range: ByteRange


class Tier(ABC):
    """Objects under keys: written once, never overwritten, read by ranges.

    A tier has four methods of its own: `write`, `read`, `list`, `delete`. The rest has defaults for devices whose
    reads do not depend on one another. Retry, throttling and faults wrap a tier and are not written into one.
    Threads may share a tier.

    Keys are relative: words between slashes, none of them "." or "..".
    """

    capability: ClassVar[Capability]
    device: DeviceProfile

    def __init__(self, uri: str, device: DeviceProfile) -> None:
        self._uri = uri
        self.device = device
        self._counted = NO_COST
        self._count_lock = threading.Lock()

    @classmethod
    @abstractmethod
    def open(cls, place: str, options: Mapping[str, str]) -> Self:
        """Open the tier at `place`, the part of its URI between colon and question mark."""

    @abstractmethod
    def write(self, key: str, data: Path | bytes) -> Stored:
        """Store an object, whole and checked, under a key that is not taken; all of it or nothing."""

    @abstractmethod
    def read(self, key: str, ranges: Sequence[ByteRange]) -> list[bytes | memoryview]:
        """Read exactly the bytes of each range; TierError for a missing key or a range outside the object."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Yield the objects whose key starts with `prefix`, sorted by key."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; a missing one is fine."""

    def stat(self, key: str) -> Stored:
        """Look an object up: its bytes and, where the tier keeps one, what tells a version from another."""
        for found in self.list(key):
            if found.key == key:
                return found
        raise TierError(f"{self.uri} has no object {key!r}")

    @property
    def uri(self) -> str:
        """What `open_tier` opens this tier by."""
        return self._uri

    @property
    def counted(self) -> Cost:
        """What reads and writes have cost so far; take the difference of two looks."""
        return self._counted

    @property
    def timeline(self) -> Sequence[DeviceEvent]:
        """What the devices did so far; only simulated tiers tell."""
        return ()

    def order(self, requests: Iterable[ReadRequest]) -> Sequence[ReadRequest]:
        """Put requests in the order in which reading them costs least."""
        return sorted(requests)

    def estimate(self, requests: Iterable[ReadRequest]) -> Cost:
        """Say what `fetch` of these requests would cost now."""
        asked = [request.range.length for request in requests]
        device = self.device
        total_bytes = sum(asked)
        seconds = len(asked) * device.request_seconds / device.concurrency + total_bytes / device.bytes_per_second
        money = len(asked) * device.money_per_request + total_bytes * device.money_per_byte
        return Cost(total_bytes, len(asked), 0, seconds, money, {device.name: seconds} if asked else {})

    def estimate_each(self, batches: Iterable[Iterable[ReadRequest]]) -> Cost:
        """Say what several calls of `fetch`, one after the other, would cost now."""
        return sum((self.estimate(batch) for batch in batches), NO_COST)

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        """Read many ranges and yield each as it arrives, in the tier's order."""
        for key, group in groupby(self.order(requests), key=lambda request: request.key):
            asked = [*group]
            yield from zip(asked, self.read(key, [request.range for request in asked]), strict=True)

    def count(self, cost: Cost) -> None:
        """Add to what was counted; for tiers themselves."""
        with self._count_lock:
            self._counted += cost

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


class RecallState(Enum):
    """How far an extent is from being readable."""

    COLD = "cold"
    RECALLING = "recalling"
    READY = "ready"


@runtime_checkable
class Recall(Protocol):
    """What cold tiers give beside Tier: bring extents within reach before they are read."""

    def state(self, extent: Extent) -> RecallState:
        """Say how far the extent is from being readable."""
        ...

    def request(self, extents: Sequence[Extent], deadline: float | None = None) -> Sequence[float]:
        """Ask for extents; seconds until each is there. NotThawedError when one is later than `deadline`."""
        ...

    def price(self, extents: Sequence[Extent]) -> Cost:
        """Say what recalling and reading whole extents would cost now."""
        ...
