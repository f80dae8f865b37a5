"""An archive in memory, on a clock of its own: objects are cold until asked for, and hours have passed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from esker.core.clock import VirtualClock
from esker.core.cost import Cost
from esker.core.extent import ByteRange, Extent
from esker.errors import NotThawedError
from esker.storage import Capability, ReadRequest, RecallState
from esker.storage.tiers.memory import MemoryTier


class ArchiveTier(MemoryTier):
    """`hours` says how long each key takes; money is a dollar a restore."""

    capability = Capability(random_read=True, needs_thaw=True, append_only=False)

    def __init__(self, name: str, hours: Mapping[str, float] | float = 5.0) -> None:
        super().__init__(name)
        self.clock = VirtualClock()
        self.hours = hours
        self.asked: dict[str, float] = {}
        self.restores: list[str] = []
        self.reads: list[str] = []

    def order(self, requests: Iterable[Any]) -> Sequence[Any]:
        return sorted(requests, key=lambda one: one.key)

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        for request in self.order(requests):
            if self._state(request.key) is not RecallState.READY:
                raise NotThawedError(f"{request.key} is cold")
            self.reads.append(request.key)
            yield request, self.read(request.key, [request.range])[0]

    def _state(self, key: str) -> RecallState:
        if key not in self.asked:
            return RecallState.COLD
        hours = self.hours if isinstance(self.hours, float) else self.hours[key]
        return RecallState.READY if self.clock.seconds() >= self.asked[key] + 3600 * hours else RecallState.RECALLING

    def state(self, extent: Extent) -> RecallState:
        return self._state(extent.key)

    def request(self, extents: Sequence[Extent], deadline: float | None = None) -> Sequence[float]:
        for extent in extents:
            if self._state(extent.key) is RecallState.COLD:
                self.asked[extent.key] = self.clock.seconds()
                self.restores.append(extent.key)
                self.count(Cost(requests=1, money=1.0))
        return [0.0 if self._state(extent.key) is RecallState.READY else 3600 * 5.0 for extent in extents]

    def price(self, extents: Sequence[Extent]) -> Cost:
        cold = [extent for extent in extents if self._state(extent.key) is RecallState.COLD]
        waiting = any(self._state(extent.key) is not RecallState.READY for extent in extents)
        reading = self.estimate(ReadRequest(extent.key, ByteRange(0, extent.bytes)) for extent in extents)
        return reading + Cost(requests=len(cold), seconds=5 * 3600.0 if waiting else 0.0, money=float(len(cold)))
