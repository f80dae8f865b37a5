"""A simulated tape library whose objects lie in memory, each relation on cartridges of its own, as in the paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from esker.core.cost import NO_COST, Cost
from esker.core.device_profile import DeviceProfile
from esker.core.extent import ByteRange
from esker.errors import OptionError, OutputExistsError, TierError
from esker.storage import ReadRequest, Stored, Tier
from esker.storage.device_event import DeviceEvent
from esker.storage.tape.library import Library, Outcome, Passage
from esker.storage.tier import Capability


@dataclass
class _Cartridge:
    number: int
    used_bytes: int = 0
    was_read: bool = False


class RelationTape(Tier):
    """Objects by relation, which is the first part of their key; for measurements only, gone with the process.

    What is written after a relation was read goes on a new cartridge: so partitions never stand behind what they are
    made from, and both drives work.
    """

    capability: ClassVar[Capability] = Capability(random_read=False, needs_thaw=True, append_only=True)

    def __init__(self, device: DeviceProfile) -> None:
        super().__init__(f"tape:in-memory?device={device.name}", device)
        self._library = Library(device)
        self._timeline: list[DeviceEvent] = []
        self._objects: dict[str, bytes] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._cartridges: list[_Cartridge] = []
        self._open: dict[str, _Cartridge] = {}

    @classmethod
    def open(cls, place: str, options: Mapping[str, str]) -> Self:
        raise OptionError("a library in memory is made for measurements, and not opened by name")

    @property
    def timeline(self) -> Sequence[DeviceEvent]:
        return self._timeline

    def shelve(self) -> None:
        """Put all cartridges back and begin the clock again: what was written before is there, and cost nothing."""
        self._library = Library(self.device)
        self._timeline = []

    def write(self, key: str, data: Path | bytes) -> Stored:
        content = data if isinstance(data, bytes) else data.read_bytes()
        if key in self._objects:
            raise OutputExistsError(f"{self.uri} has an object {key!r} already; objects are never overwritten")
        cartridge = self._cartridge_for(key.partition("/")[0], len(content))
        start = cartridge.used_bytes
        cartridge.used_bytes += len(content)
        self._objects[key], self._places[key] = content, (cartridge.number, start)
        self._passed(self._library.serve([Passage(cartridge.number, start, cartridge.used_bytes)]))
        self.count(Cost(bytes=len(content), requests=1))
        return Stored(key, len(content), "")

    def read(self, key: str, ranges: Sequence[ByteRange]) -> list[bytes | memoryview]:
        parts = {request.range: data for request, data in self.fetch([ReadRequest(key, asked) for asked in ranges])}
        return [parts[asked] for asked in ranges]

    def list(self, prefix: str = "") -> Iterator[Stored]:
        for key in sorted(self._objects):
            if key.startswith(prefix):
                yield Stored(key, len(self._objects[key]), "")

    def delete(self, key: str) -> None:
        self._objects.pop(key, None)

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        asked, passages = self._passages(requests)
        outcome = self._library.serve(passages)
        self._passed(outcome)
        for passage in outcome.served:
            self._cartridges[passage.cartridge].was_read = True
            key, part = asked[passage.number]
            data = memoryview(self._objects[key])[part.start : part.stop]
            self.count(Cost(bytes=len(data), requests=1))
            yield asked[passage.number], data

    def order(self, requests: Iterable[ReadRequest]) -> Sequence[ReadRequest]:
        asked, passages = self._passages(requests)
        return [asked[passage.number] for passage in self._library.copy().serve(passages).served]

    def estimate(self, requests: Iterable[ReadRequest]) -> Cost:
        return self.estimate_each([requests])

    def estimate_each(self, batches: Iterable[Iterable[ReadRequest]]) -> Cost:
        library, total = self._library.copy(), NO_COST
        for batch in batches:
            asked, passages = self._passages(batch)
            total += library.serve(passages).cost()
            total += Cost(bytes=sum(request.range.length for request in asked), requests=len(asked))
        return total

    def _cartridge_for(self, relation: str, size_bytes: int) -> _Cartridge:
        found = self._open.get(relation)
        if found is None or found.was_read or found.used_bytes + size_bytes > self.device.capacity_bytes:
            found = _Cartridge(len(self._cartridges))
            self._cartridges.append(found)
            self._open[relation] = found
        return found

    def _passages(self, requests: Iterable[ReadRequest]) -> tuple[Sequence[ReadRequest], Sequence[Passage]]:
        asked = [*requests]
        passages = []
        for number, (key, part) in enumerate(asked):
            if key not in self._objects:
                raise TierError(f"{self.uri} has no object {key!r}")
            cartridge, start = self._places[key]
            passages.append(Passage(cartridge, start + part.start, start + part.stop, number))
        return asked, passages

    def _passed(self, outcome: Outcome) -> None:
        self._timeline += outcome.events
        self.count(outcome.cost())
