"""Processes that share a tape library and a disk, side by side on one virtual clock: who waits for what is simulated.

`Library.serve` answers a request and waits for it. Here several processes use drives, arms and disk at once, so that
double buffering, rewinds behind a fill, and a disk that is full show in the time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from esker.core.device_profile import DeviceProfile
from esker.storage.device_event import DeviceEvent
from esker.storage.tape.library import Drive
from esker.storage.tape.motion import locate_seconds, rewind_seconds, transfer_seconds


@dataclass
class Task:
    """A process that was started; `done` once it came to its end."""

    steps: Process
    done: bool = False


# A process yields what it waits for: a time, another process, or something that will be true.
Process = Generator[float | Task | Callable[[], bool], None, None]


class Piece(NamedTuple):
    """Bytes of a relation that lie on one cartridge, from `first` of the relation on."""

    cartridge: int
    first: int
    stop: int


@dataclass(frozen=True)
class Reel:
    """A relation on one cartridge or several, each filled before the next."""

    pieces: Sequence[Piece]

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.pieces[-1].stop if self.pieces else 0


@dataclass
class DiskSpace:
    """A disk that serves one request after the other, and the space of it that the processes may use (0: endless)."""

    device: DeviceProfile
    capacity_bytes: int = 0
    used_bytes: int = 0
    peak_bytes: int = 0
    moved_bytes: int = 0
    free_at: float = 0.0

    def fits(self, size_bytes: int) -> bool:
        """Whether that much is free."""
        return not self.capacity_bytes or self.used_bytes + size_bytes <= self.capacity_bytes

    def take(self, size_bytes: int) -> None:
        """Use space that fits."""
        assert self.fits(size_bytes), "the disk is full"
        self.used_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)

    def give(self, size_bytes: int) -> None:
        """Free space."""
        assert size_bytes <= self.used_bytes, "more is freed than was used"
        self.used_bytes -= size_bytes


@dataclass
class Room:
    """The library, the disk and the clock. Every process is a generator; `run` lets them all come to their end."""

    device: DeviceProfile
    disk: DiskSpace
    phase: str = ""
    now: float = 0.0
    mounts: int = 0
    tape_bytes: int = 0
    events: list[DeviceEvent] = field(default_factory=list)
    busy: dict[tuple[str, str, str], float] = field(default_factory=lambda: defaultdict(float))

    def __post_init__(self) -> None:
        self.drives = [Drive(number) for number in range(self.device.drives)]
        self._arms = [0.0] * self.device.arms
        self._waiting: list[tuple[float, int, Task]] = []
        self._parked: list[tuple[Callable[[], bool], Task]] = []
        self._turn = 0

    def start(self, process: Process) -> Task:
        """Let a process begin now, beside the others."""
        task = Task(process)
        self._wake(self.now, task)
        return task

    def run(self, process: Process) -> None:
        """Let a process and all that it starts come to their end."""
        self.start(process)
        while self._waiting:
            self.now, _, task = heappop(self._waiting)
            self._step(task)
            ready = [entry for entry in self._parked if entry[0]()]
            if ready:
                self._parked = [entry for entry in self._parked if entry not in ready]
                for _, parked in ready:
                    self._wake(self.now, parked)
        assert not self._parked, "processes wait for each other"

    def _step(self, task: Task) -> None:
        wanted = next(task.steps, None)
        if wanted is None:
            task.done = True
        elif isinstance(wanted, Task):
            self._parked.append((lambda: wanted.done, task))
        elif callable(wanted):
            self._parked.append((wanted, task))
        else:
            self._wake(max(wanted, self.now), task)

    def _wake(self, at: float, task: Task) -> None:
        self._turn += 1
        heappush(self._waiting, (at, self._turn, task))

    def mount(self, drive: Drive, cartridge: int) -> Process:
        """Bring a cartridge into a drive; what is there goes back first. Nothing, if it is there already."""
        if drive.cartridge == cartridge:
            return
        yield from self.unmount(drive)
        drive.cartridge, drive.position = cartridge, 0
        self.mounts += 1
        start = self.now
        yield self._arm("mount", min(self.device.exchange_seconds, self.device.mount_seconds))
        yield self.now + max(self.device.mount_seconds - self.device.exchange_seconds, 0.0)
        self._record(drive, "mount", start)

    def unmount(self, drive: Drive) -> Process:
        """Rewind what is in a drive, and put it back."""
        if drive.cartridge is None:
            return
        yield from self.rewind(drive)
        start = self.now
        if self.device.unmount_seconds:
            yield start + max(self.device.unmount_seconds - self.device.exchange_seconds, 0.0)
            yield self._arm("unmount", min(self.device.exchange_seconds, self.device.unmount_seconds))
        self._record(drive, "unmount", start)
        drive.cartridge = None

    def rewind(self, drive: Drive) -> Process:
        """Bring the head back to the start of the tape."""
        start = self.now
        yield start + rewind_seconds(self.device, drive.position)
        drive.position = 0
        self._record(drive, "rewind", start)

    def transfer(self, drive: Drive, start: int, stop: int) -> Process:
        """Read or write bytes of the cartridge in a drive."""
        begun = self.now
        yield begun + locate_seconds(self.device, drive.position, start)
        self._record(drive, "locate", begun)
        begun = self.now
        yield begun + transfer_seconds(self.device, stop - start)
        drive.position = stop
        self.tape_bytes += stop - start
        self._record(drive, "transfer", begun)

    def pass_over(self, drive: Drive, reel: Reel, start: int, stop: int) -> Process:
        """Read or write bytes of a relation, changing cartridges on the way."""
        for cartridge, first, last in reel.pieces:
            if start < last and first < stop:
                yield from self.mount(drive, cartridge)
                yield from self.transfer(drive, max(start, first) - first, min(stop, last) - first)

    def disk_until(self, size_bytes: int, requests: int = 0) -> float:
        """Queue a read or write on the disk, with seeks; gives when it will be done."""
        start = max(self.now, self.disk.free_at)
        seconds = size_bytes / self.disk.device.bytes_per_second + requests * self.disk.device.request_seconds
        self.disk.free_at = start + seconds
        self.disk.moved_bytes += size_bytes
        self.busy[self.phase, "disk", "transfer"] += seconds
        return self.disk.free_at

    def _arm(self, kind: str, seconds: float) -> float:
        arm = min(range(len(self._arms)), key=self._arms.__getitem__)
        start = max(self.now, self._arms[arm])
        self._arms[arm] = start + seconds
        if seconds:
            name = "arm" if len(self._arms) == 1 else f"arm {arm}"
            self._note(DeviceEvent(name, kind, start, start + seconds, {"phase": self.phase}))
        return self._arms[arm]

    def _record(self, drive: Drive, kind: str, start: float) -> None:
        if self.now > start:
            detail: dict[str, int | str] = {"cartridge": drive.cartridge or 0, "phase": self.phase}
            self._note(DeviceEvent(f"drive {drive.number}", kind, start, self.now, detail))

    def _note(self, event: DeviceEvent) -> None:
        """Keep an event; one that goes on where the drive's last one ended makes that longer."""
        self.busy[str(event.detail["phase"]), event.device, event.kind] += event.seconds
        for place in range(len(self.events) - 1, max(len(self.events) - 4, -1), -1):
            last = self.events[place]
            if last.device == event.device:
                if last.kind == event.kind and last.detail == event.detail and last.stop == event.start:
                    self.events[place] = DeviceEvent(event.device, event.kind, last.start, event.stop, event.detail)
                    return
                break
        self.events.append(event)
