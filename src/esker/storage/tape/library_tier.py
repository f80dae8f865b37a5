"""A simulated tape library of any storage: where objects lie on cartridges, and the time it takes to read them."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Protocol, Self

from esker.core.byte_size import format_bytes, parse_bytes
from esker.core.checksum import checksum_bytes
from esker.core.clock import VirtualClock
from esker.core.cost import NO_COST, Cost
from esker.core.device_profile import DeviceProfile
from esker.core.extent import ByteRange, Extent
from esker.core.file_system import LOCAL, FileSystem
from esker.errors import EskerError, NotThawedError, OptionError, OutputExistsError, PayloadCorruptError, TierError
from esker.storage.device_event import DeviceEvent
from esker.storage.devices import device_profile
from esker.storage.keys import check_key, check_ranges
from esker.storage.options import check_options, count_option, folder_option
from esker.storage.source import source_bytes
from esker.storage.tape.cartridge import writing
from esker.storage.tape.catalog import TapeObject
from esker.storage.tape.library import Library, Outcome, Passage
from esker.storage.tape.order import check_order
from esker.storage.tier import Capability, ReadRequest, RecallState, Stored, Tier

_OPTIONS = ("device", "cartridge", "drives", "arms", "slots", "order", "stripes")


class LibraryIndex(Protocol):
    """What lies where in a library: the only truth about its data."""

    def cartridges(self) -> dict[int, int]:
        """Read how many bytes of each cartridge are used."""
        ...

    def find(self, key: str) -> TapeObject | None:
        """Look an object up."""
        ...

    def objects(self, prefix: str) -> list[TapeObject]:
        """Read the objects whose key starts with `prefix`, sorted by key."""
        ...

    def add(self, found: TapeObject) -> None:
        """Commit an object whose bytes are on its cartridge for good."""
        ...

    def remove(self, key: str) -> None:
        """Forget an object."""
        ...


class LibraryTier(Tier):
    """Keep objects on cartridges, read them in the order they lie; how bytes are stored is a variant's own.

    Time passes on a virtual clock as drives and the arm move
    (`storage/tape/library.py`). Which cartridge is in which drive, where heads stand and what time it is last as
    long as this object. `estimate` runs the same moves on a copy, so what it says is what `fetch` will count.

    `order` is how the requests on a cartridge are scheduled (`storage/tape/order.py`): scan, the default, fifo,
    elevator, nearest, recommended. `stripes` cartridges are filled side by side, object by object, so that as many
    drives read at once.
    """

    scheme: ClassVar[str]
    capability = Capability(random_read=False, needs_thaw=True, append_only=True)

    def __init__(
        self,
        folder: Path,
        device: DeviceProfile,
        *,
        uri: str | None = None,
        file_system: FileSystem = LOCAL,
        order: str = "scan",
        stripes: int = 1,
    ) -> None:
        """Use a library of the kind `device`; its `capacity_bytes` is that of one cartridge."""
        self.folder = folder_option(self.scheme, str(folder))
        super().__init__(uri or f"{self.scheme}:{self.folder}?device={device.name}", device)
        self.clock = VirtualClock()
        self._file_system = file_system
        self._library = Library(device)
        self._scheduled = check_order(order)
        self._stripes = stripes
        self._timeline: list[DeviceEvent] = []
        self._lock = threading.RLock()
        self._opened: LibraryIndex | None = None
        made = self.made_options(self.folder).get("cartridge", str(device.capacity_bytes))
        if made != str(device.capacity_bytes):
            raise OptionError(
                f"the library in {self.folder} was made with cartridge={made}, not cartridge={device.capacity_bytes}"
            )

    @classmethod
    def open(cls, place: str, options: Mapping[str, str]) -> Self:
        check_options(cls.scheme, options, _OPTIONS)
        folder = folder_option(cls.scheme, place)
        words = dict(options)
        # A library is opened as it was made, unless told otherwise.
        words = cls.made_options(folder) | words
        name = words.pop("device", "lto9-hh")
        device = device_profile(name)
        if not device.mount_seconds:
            raise OptionError(f"device={name!r} is not a tape library")
        device = replace(
            device,
            capacity_bytes=parse_bytes(words.get("cartridge", device.capacity_bytes), "cartridge"),
            drives=count_option(words, "drives", device.drives),
            arms=count_option(words, "arms", device.arms),
            slots=count_option(words, "slots", device.slots),
        )
        text = "".join(f"&{option}={options[option]}" for option in _OPTIONS[1:] if option in options)
        return cls(
            folder,
            device,
            uri=f"{cls.scheme}:{folder}?device={name}{text}",
            order=words.get("order", "scan"),
            stripes=count_option(words, "stripes", 1),
        )

    @property
    def timeline(self) -> Sequence[DeviceEvent]:
        return self._timeline

    def write(self, key: str, data: Path | bytes) -> Stored:
        check_key(key)
        size_bytes = source_bytes(data)
        if size_bytes > self.device.capacity_bytes:
            raise OptionError(
                f"{key!r} has {format_bytes(size_bytes)} and a cartridge of {self.uri}"
                f" {format_bytes(self.device.capacity_bytes)}; an object never spans cartridges: write smaller ones,"
                " or raise cartridge="
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock, writing(self.folder):
                found = self._append(key, size_bytes, data)
        except EskerError:
            raise
        except OSError as error:
            raise TierError(f"{self.uri} could not write {key!r}: {error.strerror or error}") from error
        return Stored(found.key, found.bytes, found.checksum)

    def read(self, key: str, ranges: Sequence[ByteRange]) -> list[bytes | memoryview]:
        parts = {request.range: data for request, data in self.fetch([ReadRequest(key, asked) for asked in ranges])}
        return [parts[asked] for asked in ranges]

    def list(self, prefix: str = "") -> Iterator[Stored]:
        index = self._index()
        for found in index.objects(prefix) if index is not None else ():
            yield Stored(found.key, found.bytes, found.checksum)

    def delete(self, key: str) -> None:
        index = self._index()
        found = index.find(check_key(key)) if index is not None else None
        if index is not None and found is not None:
            with self._lock, writing(self.folder):
                index.remove(key)
                self._forget(found)

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        asked, places, passages = self._passages(requests)
        with self._lock:
            outcome = self._library.serve(passages, self._scheduled)
            self._passed(outcome)
        for passage in outcome.served:
            request = asked[passage.number]
            data = self._read_passage(request, places[request.key])
            self.count(Cost(bytes=len(data), requests=1))
            yield request, data

    def order(self, requests: Iterable[ReadRequest]) -> Sequence[ReadRequest]:
        asked, _, passages = self._passages(requests)
        with self._lock:
            served = self._library.copy().serve(passages, self._scheduled).served
        return [asked[passage.number] for passage in served]

    def estimate(self, requests: Iterable[ReadRequest]) -> Cost:
        return self.estimate_each([requests])

    def estimate_each(self, batches: Iterable[Iterable[ReadRequest]]) -> Cost:
        with self._lock:
            library = self._library.copy()
        total = NO_COST
        for batch in batches:
            asked, _, passages = self._passages(batch)
            total += library.serve(passages, self._scheduled).cost()
            total += Cost(bytes=sum(request.range.length for request in asked), requests=len(asked))
        return total

    def state(self, extent: Extent) -> RecallState:
        """Say whether the extent's cartridge is in a drive; reading one that is not mounts it."""
        with self._lock:
            mounted = self._find(extent.key).cartridge in self._library.mounted()
        return RecallState.READY if mounted else RecallState.COLD

    def request(self, extents: Sequence[Extent], deadline: float | None = None) -> Sequence[float]:
        """Say when each extent would be read if all were now; the reading itself moves the tapes."""
        asked, _, passages = self._passages(map(_whole, extents))
        with self._lock:
            library = self._library.copy()
        ready = [0.0] * len(asked)
        start = library.now
        outcome = library.serve(passages, self._scheduled)
        transfers = [event for event in outcome.events if event.kind == "transfer"]
        stops = iter(sorted(event.stop for event in transfers))
        for passage in outcome.served:
            ready[passage.number] = next(stops) - start if passage.stop > passage.start else 0.0
        if deadline is not None and max(ready, default=0.0) > deadline:
            raise NotThawedError(
                f"{self.uri} needs {max(ready):,.0f} s for {len(extents)} extents; the deadline is {deadline:,.0f} s",
                max(ready),
            )
        return ready

    def price(self, extents: Sequence[Extent]) -> Cost:
        """Say what reading whole extents would cost now."""
        return self.estimate(map(_whole, extents))

    def _append(self, key: str, size_bytes: int, data: Path | bytes) -> TapeObject:
        """Put data on the last cartridge or a new one, commit it, and let the library move."""
        index = self._index() or self._make()
        if index.find(key) is not None:
            raise OutputExistsError(f"{self.uri} has an object {key!r} already; objects are never overwritten")
        number, start = self._place(index.cartridges(), size_bytes)
        written, checksum = self._store(key, number, start, data)
        if written != size_bytes:
            raise TierError(f"the data of {key!r} changed while it was written; nothing was kept")
        found = TapeObject(key, number, start, written, checksum)
        index.add(found)
        self._passed(self._library.serve([Passage(number, start, start + written)]))
        self.count(Cost(bytes=written, requests=1))
        return found

    def _place(self, used: Mapping[int, int], size_bytes: int) -> tuple[int, int]:
        """Choose cartridge and byte for an object."""
        last = max(used, default=-1)
        open_ones = [number for number in used if number > last - self._stripes]
        room = [number for number in open_ones if used[number] + size_bytes <= self.device.capacity_bytes]
        full = bool(self.device.slots) and len(used) >= self.device.slots
        if room and (len(open_ones) == self._stripes or full):
            emptiest = min(room, key=lambda number: (used[number], number))
            return emptiest, used[emptiest]
        if self.device.slots and len(used) >= self.device.slots:
            raise TierError(f"{self.uri} is full: all of its {self.device.slots} slots are used; raise slots=")
        return last + 1, 0

    def _passages(
        self, requests: Iterable[ReadRequest]
    ) -> tuple[Sequence[ReadRequest], Mapping[str, TapeObject], Sequence[Passage]]:
        """Look up where requests lie on which cartridge."""
        asked = [*requests]
        places = {key: self._find(key) for key in dict.fromkeys(request.key for request in asked)}
        passages = []
        for number, (key, part) in enumerate(asked):
            found = places[key]
            check_ranges(self.uri, key, found.bytes, [part])
            passages.append(Passage(found.cartridge, found.start + part.start, found.start + part.stop, number))
        return asked, places, passages

    def _read_passage(self, request: ReadRequest, found: TapeObject) -> bytes:
        data = self._load(found, request.range)
        if len(data) == found.bytes and checksum_bytes(data) != found.checksum:
            raise PayloadCorruptError(
                f"{request.key!r} at byte {found.start:,} of {self._path(found)} is damaged: its checksum is"
                f" {checksum_bytes(data)}, written was {found.checksum}"
            )
        return data

    def _passed(self, outcome: Outcome) -> None:
        self.clock.sleep(outcome.seconds)
        self._timeline += outcome.events
        self.count(outcome.cost())

    def _find(self, key: str) -> TapeObject:
        check_key(key)
        index = self._index()
        found = index.find(key) if index is not None else None
        if found is None:
            raise TierError(f"{self.uri} has no object {key!r}")
        return found

    @classmethod
    @abstractmethod
    def made_options(cls, folder: Path) -> dict[str, str]:
        """Read how the library in a folder was made; nothing when there is none."""

    @abstractmethod
    def _open_index(self) -> LibraryIndex | None:
        """Open the index; None when there is no library yet."""

    @abstractmethod
    def _make_index(self, options: Mapping[str, str]) -> LibraryIndex:
        """Make an empty index; the right to write is held."""

    @abstractmethod
    def _store(self, key: str, number: int, start: int, data: Path | bytes) -> tuple[int, str]:
        """Put an object on a cartridge, durably and read back; gives its bytes and checksum."""

    @abstractmethod
    def _load(self, found: TapeObject, part: ByteRange) -> bytes:
        """Read a range of an object, all of it."""

    @abstractmethod
    def _path(self, found: TapeObject) -> Path:
        """Name the file that an object's bytes are in."""

    def _forget(self, found: TapeObject) -> None:
        """Let go of an object that is not in the index any more; on tape its bytes stay."""

    def _index(self) -> LibraryIndex | None:
        """Open the index once there is one."""
        with self._lock:
            if self._opened is None:
                self._opened = self._open_index()
            return self._opened

    def _make(self) -> LibraryIndex:
        self._opened = self._make_index({"device": self.device.name, "cartridge": str(self.device.capacity_bytes)})
        for folder in (self.folder, self.folder.parent):
            self._file_system.sync_folder(folder)
        return self._opened


def _whole(extent: Extent) -> ReadRequest:
    return ReadRequest(extent.key, ByteRange(0, extent.bytes))
