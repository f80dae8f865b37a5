"""The moving parts of a tape library, event by event: drives, arms, cartridges, and a clock nobody waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from esker.core.cost import Cost
from esker.core.device_profile import DeviceProfile
from esker.storage.device_event import DeviceEvent
from esker.storage.tape.motion import locate_seconds, rewind_seconds, transfer_seconds
from esker.storage.tape.order import ORDERS, check_order


class Passage(NamedTuple):
    """Bytes `start` to `stop` of a cartridge that pass under a head; `number` is the caller's own."""

    cartridge: int
    start: int
    stop: int
    number: int = 0


@dataclass
class Drive:
    """A drive, the cartridge in it, the byte its head stands at, and when it was last used."""

    number: int
    cartridge: int | None = None
    position: int = 0
    used: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What serving some passages did: events in order of their start, `served` the passages in order of their end."""

    seconds: float
    mounts: int
    events: Sequence[DeviceEvent]
    served: Sequence[Passage]

    def cost(self) -> Cost:
        """The times as a cost; bytes and requests are the caller's to say."""
        busy: dict[str, float] = {}
        for event in self.events:
            busy[event.device] = busy.get(event.device, 0.0) + event.seconds
        return Cost(mounts=self.mounts, seconds=self.seconds, devices=busy)


@dataclass
class Library:
    """The state between requests: which cartridge is in which drive, where its head stands, what time it is.

    `serve` moves the state on; `copy` first to ask what would happen. Nothing here holds data.
    """

    device: DeviceProfile
    drives: list[Drive] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.drives = self.drives or [Drive(number) for number in range(self.device.drives)]

    def copy(self) -> Library:
        """Give a library in the same state that moves on its own."""
        return Library(self.device, [replace(drive) for drive in self.drives], self.now)

    def mounted(self) -> Mapping[int, Drive]:
        """Give the cartridges that are in a drive."""
        return {drive.cartridge: drive for drive in self.drives if drive.cartridge is not None}

    def serve(self, passages: Iterable[Passage], order: str = "scan") -> Outcome:
        """Let the passages run, as the drives and arms allow, and wait for the last.

        Each cartridge is mounted once at most, and passes in order of position or another `order` (`ORDERS`). A
        mounted cartridge is served by its drive first; the others go in order of their number (for `fifo`: as they
        were asked for) to whichever drive is free: an empty one before one that has to unmount, and that which was
        used longest ago first.
        """
        run = _Run(self, passages, check_order(order))
        start = self.now
        self.now = run.finish()
        return Outcome(self.now - start, run.mounts, run.events, run.served)


class _Run:
    """One call of `serve`: every drive is a process that says when it wants to go on, the earliest goes first."""

    def __init__(self, library: Library, passages: Iterable[Passage], order: str) -> None:
        self._order = ORDERS[order]
        self._device = library.device
        self._now = library.now
        self._arms = [library.now] * library.device.arms
        self._queues: dict[int, list[Passage]] = {}
        for passage in passages if order == "fifo" else sorted(passages):
            self._queues.setdefault(passage.cartridge, []).append(passage)
        mounted = library.mounted()
        self._waiting = deque(cartridge for cartridge in self._queues if cartridge not in mounted)
        self._drives = library.drives
        self.mounts = 0
        self.events: list[DeviceEvent] = []
        self.served: list[Passage] = []

    def finish(self) -> float:
        """Let all processes run to their end; returns when the last came there."""
        turns = sorted(self._drives, key=self._turn)
        heap = [(self._now, turn, self._work(drive)) for turn, drive in enumerate(turns)]
        heapify(heap)
        last = self._now
        while heap:
            self._now, turn, process = heappop(heap)
            last = max(last, self._now)
            until = next(process, None)
            if until is not None:
                heappush(heap, (until, turn, process))
        self.events.sort(key=lambda event: (event.start, event.stop))
        return last

    def _turn(self, drive: Drive) -> tuple[bool, bool, float, int]:
        """Who chooses first: drives with work in them, then empty ones, then those that must unmount."""
        return drive.cartridge not in self._queues, drive.cartridge is not None, drive.used, drive.number

    def _work(self, drive: Drive) -> Iterator[float]:
        if drive.cartridge in self._queues:
            yield from self._pass(drive)
        while self._waiting:
            cartridge = self._waiting.popleft()
            if drive.cartridge is not None:
                yield from self._unmount(drive)
            yield from self._mount(drive, cartridge)
            yield from self._pass(drive)

    def _pass(self, drive: Drive) -> Iterator[float]:
        assert drive.cartridge is not None
        for passage in self._order(self._device, drive.position, self._queues[drive.cartridge]):
            if passage.stop > passage.start:
                locate = locate_seconds(self._device, drive.position, passage.start)
                yield self._busy(drive, "locate", locate, to=passage.start)
                length = passage.stop - passage.start
                yield self._busy(drive, "transfer", transfer_seconds(self._device, length), bytes=length)
                drive.position, drive.used = passage.stop, self._now
            self.served.append(passage)

    def _mount(self, drive: Drive, cartridge: int) -> Iterator[float]:
        drive.cartridge, drive.position = cartridge, 0
        self.mounts += 1
        # The drive waits for the arm; the mount begins when the arm does.
        yield self._arm("mount", drive)
        loading = max(self._device.mount_seconds - self._device.exchange_seconds, 0.0)
        self._event(drive, "mount", self._now - self._exchange_seconds(self._device.mount_seconds), self._now + loading)
        yield self._now + loading

    def _unmount(self, drive: Drive) -> Iterator[float]:
        yield self._busy(drive, "rewind", rewind_seconds(self._device, drive.position))
        start = self._now
        yield start + max(self._device.unmount_seconds - self._device.exchange_seconds, 0.0)
        if self._device.unmount_seconds:
            yield self._arm("unmount", drive)
        self._event(drive, "unmount", start, self._now)

    def _exchange_seconds(self, whole_seconds: float) -> float:
        """The arm's part of a mount or unmount, never more than the whole."""
        return min(self._device.exchange_seconds, whole_seconds)

    def _arm(self, kind: str, drive: Drive) -> float:
        """Take the arm that is free first; gives when it is done."""
        arm = min(range(len(self._arms)), key=self._arms.__getitem__)
        whole = self._device.mount_seconds if kind == "mount" else self._device.unmount_seconds
        start = max(self._now, self._arms[arm])
        stop = start + self._exchange_seconds(whole)
        self._arms[arm] = stop
        name = "arm" if len(self._arms) == 1 else f"arm {arm}"
        if stop > start:
            detail = {"cartridge": drive.cartridge or 0, "drive": drive.number}
            self.events.append(DeviceEvent(name, kind, start, stop, detail))
        return stop

    def _busy(self, drive: Drive, kind: str, seconds: float, **detail: int) -> float:
        self._event(drive, kind, self._now, self._now + seconds, **detail)
        return self._now + seconds

    def _event(self, drive: Drive, kind: str, start: float, stop: float, **detail: int) -> None:
        if stop > start:
            assert drive.cartridge is not None
            about = {"cartridge": drive.cartridge, **detail}
            self.events.append(DeviceEvent(f"drive {drive.number}", kind, start, stop, about))
