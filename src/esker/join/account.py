"""Accounting for the devices of a join: what each is busy with, and when, on a clock nobody waits for.

A join moves its data in the order of the program; on real devices much of that goes on side by side. Each line of
work has a time of its own, each device serves one thing at a time, and disk space that is taken must have been given
back before: so the time a run would take on the devices follows from what it moved (an event-driven simulation whose
events are the moves themselves).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

from esker.core.cost import NO_COST, Cost
from esker.core.device_profile import DeviceProfile
from esker.storage import DeviceEvent, Tier

Item = TypeVar("Item")


@runtime_checkable
class _OnTier(Protocol):
    @property
    def tier(self) -> Tier: ...


def tape_of(store: object) -> Tier | None:
    """The tape that a row store's payload lies on; None when it lies elsewhere."""
    if not isinstance(store, _OnTier):
        return None
    capability = store.tier.capability
    return store.tier if capability.append_only and not capability.random_read else None


def waits(store: object) -> bool:
    """Whether the next rows of a store may be hours away: on a tape that moves, or in an archive."""
    return isinstance(store, _OnTier) and (store.tier.capability.needs_thaw or tape_of(store) is not None)


class Account:
    """The devices of one join and the lines of work that use them.

    >>> account = Account()
    >>> reader, joiner = account.work("read"), account.work("join")
    >>> reader.use("drive 0", "transfer", 10.0)
    >>> joiner.use("disk", "read", 4.0); joiner.wait(reader.now); joiner.use("disk", "read", 1.0)
    >>> account.seconds, account.busy
    (11.0, {'drive 0': 10.0, 'disk': 5.0})
    """

    def __init__(self) -> None:
        self._devices: dict[str, _Device] = {}
        self._works: list[Work] = []
        self._phases: list[tuple[str, float]] = []
        self.counts: Counter[str] = Counter()
        self.moved = NO_COST
        self.events: list[DeviceEvent] = []

    @property
    def used(self) -> bool:
        """Whether anything was charged."""
        return bool(self._works)

    @property
    def seconds(self) -> float:
        """When the last line of work ends."""
        return max((work.now for work in self._works), default=0.0)

    @property
    def busy(self) -> dict[str, float]:
        """How long each device was used."""
        return {name: device.busy for name, device in self._devices.items()}

    @property
    def phases(self) -> dict[str, float]:
        """The seconds of each phase that has ended, in order."""
        found: dict[str, float] = {}
        start = 0.0
        for name, stop in self._phases:
            found[name] = found.get(name, 0.0) + stop - start
            start = stop
        return found

    @property
    def cost(self) -> Cost:
        """All that was moved, in the time it takes when devices work side by side."""
        moved = self.moved
        return Cost(moved.bytes, moved.requests, moved.mounts, self.seconds, moved.money, self.busy)

    def work(self, name: str, start: float = 0.0) -> Work:
        """Begin a line of work at `start` seconds."""
        work = Work(name, self, start)
        self._works.append(work)
        return work

    def end_phase(self, name: str) -> None:
        """Close a phase: what comes after begins when all of it is done."""
        for work in self._works:
            work.settle()
        stop = self.seconds
        for work in self._works:
            work.wait(stop)
        self._phases.append((name, stop))

    def device(self, name: str) -> _Device:
        """A device by name, made when first used."""
        return self._devices.setdefault(name, _Device())

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for `--json` and the event log."""
        return {
            "seconds": round(self.seconds, 6),
            "busy": {name: round(seconds, 6) for name, seconds in self.busy.items()},
            "phases": {name: round(seconds, 6) for name, seconds in self.phases.items()},
            "counts": dict(self.counts),
        }


class _Device:
    """One device: stretches of time in which it is busy, sorted, those that touch as one."""

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._stops: list[float] = []
        self.busy = 0.0

    @property
    def free_at(self) -> float:
        """When it has done all it was given."""
        return self._stops[-1] if self._stops else 0.0

    def take(self, earliest: float, seconds: float) -> float:
        """Use the first gap long enough; gives when it begins."""
        index = bisect_right(self._stops, earliest)
        start = earliest
        while index < len(self._starts) and self._starts[index] < start + seconds:
            start = max(start, self._stops[index])
            index += 1
        self._insert(index, start, start + seconds)
        return start

    def _insert(self, index: int, start: float, stop: float) -> None:
        self.busy += stop - start
        if index and self._stops[index - 1] >= start:
            self._stops[index - 1] = max(self._stops[index - 1], stop)
        else:
            self._starts.insert(index, start)
            self._stops.insert(index, stop)


class Work:
    """A line of work: it does one thing after another, at `now` on its own clock."""

    def __init__(self, name: str, account: Account, start: float) -> None:
        self.name = name
        self.now = start
        self._account = account
        self._behind = start

    def wait(self, until: float) -> None:
        """Go on at `until` at the earliest."""
        self.now = max(self.now, until)

    def use(self, device: str, kind: str, seconds: float, **detail: int | str) -> None:
        """Use a device, and wait for it."""
        self.now = self._take(device, kind, seconds, detail)

    def use_behind(self, device: str, kind: str, seconds: float, **detail: int | str) -> None:
        """Use a device while going on: read ahead of need, or written behind; `settle` waits for it."""
        self._behind = max(self._behind, self._take(device, kind, seconds, detail))

    def settle(self) -> None:
        """Wait for what is going on behind."""
        self.wait(self._behind)

    @contextmanager
    def on(self, tier: Tier) -> Iterator[None]:
        """Take over what the devices of a simulated tier do in the block: its drives and arms are those of the join."""
        seen, before = len(tier.timeline), tier.counted
        yield
        self.moved(tier.counted.since(before))
        self._replay(tier.timeline[seen:])

    def follow(self, tier: Tier, items: Iterator[Item]) -> Iterator[Item]:
        """Yield `items`, taking over what the tier does for each."""
        while True:
            with self.on(tier):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def moved(self, cost: Cost) -> None:
        """Count bytes, requests and money whose time was charged otherwise."""
        self._account.moved += Cost(cost.bytes, cost.requests, cost.mounts, money=cost.money)

    def transfer(self, disk: DeviceProfile, kind: str, size_bytes: int, requests: int = 1) -> None:
        """Read from or write to the disk, behind other work."""
        if size_bytes:
            seconds = size_bytes / disk.bytes_per_second + requests * disk.request_seconds
            self.use_behind("disk", kind, seconds, bytes=size_bytes)
            self._account.moved += Cost(size_bytes, requests)

    def _take(self, device: str, kind: str, seconds: float, detail: dict[str, int | str]) -> float:
        if not seconds:
            return self.now
        start = self._account.device(device).take(self.now, seconds)
        self._account.events.append(DeviceEvent(device, kind, start, start + seconds, detail))
        return start + seconds

    def _replay(self, events: Sequence[DeviceEvent]) -> None:
        """Shift a stretch of a tier's timeline to when this work, and the devices in it, are free."""
        if not events:
            return
        first = min(event.start for event in events)
        free = {event.device: self._account.device(event.device).free_at for event in reversed(events)}
        firsts: dict[str, float] = {}
        for event in events:
            firsts[event.device] = min(event.start, firsts.get(event.device, event.start))
        start = max(self.now, *(free[device] - (begin - first) for device, begin in firsts.items()))
        for event in events:
            self._account.device(event.device).take(start + event.start - first, event.seconds)
            self._account.events.append(
                DeviceEvent(
                    event.device, event.kind, start + event.start - first, start + event.stop - first, event.detail
                )
            )
        self.now = start + max(event.stop for event in events) - first


class DiskSpace:
    """The room of the disk cache: what is taken must have been given back, and when it was counts.

    >>> account = Account()
    >>> space, reader, joiner = DiskSpace(100), account.work("read"), account.work("join")
    >>> space.take(80, reader)
    >>> joiner.wait(7.0); space.give(50, joiner)
    >>> space.take(60, reader); reader.now, space.free_bytes, space.peak_bytes
    (7.0, 10, 90)
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._now_free = size_bytes
        self._given: deque[tuple[float, int]] = deque()
        self._used = 0
        self.peak_bytes = 0

    @property
    def free_bytes(self) -> int:
        """What is not taken, whenever it was given back."""
        return self.size_bytes - self._used

    def take(self, size_bytes: int, work: Work) -> None:
        """Take room; the work waits until as much was given back."""
        self._used += size_bytes
        while self._now_free < size_bytes and self._given:
            when, given = self._given.popleft()
            work.wait(when)
            self._now_free += given
        self._now_free -= size_bytes
        self.peak_bytes = max(self.peak_bytes, self.size_bytes - self._now_free)

    def give(self, size_bytes: int, work: Work) -> None:
        """Give room back, as of the work's time."""
        if size_bytes:
            self._used -= size_bytes
            self._given.append((work.now, size_bytes))
