"""Many queries at one tape library: requests wait for cartridges, drives and arms, and a policy says who is next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from esker.core.device_profile import DeviceProfile
from esker.core.seeded import generator
from esker.errors import OptionError
from esker.storage.tape.library import Drive
from esker.storage.tape.motion import locate_seconds
from esker.storage.tape.room import DiskSpace, Process, Room


@dataclass(frozen=True)
class Workload:
    """Queries of a few extents each, on cartridges of which some are wanted more than others.

    `concurrent` queries are always under way; when one ends, the next of `queries` begins. An extent has
    `extent_bytes` on average (exponential); cartridges are wanted by Zipf's law with exponent `skew` (0: evenly).
    """

    queries: int = 2000
    concurrent: int = 1000
    extents: int = 4
    extent_bytes: int = 1_000_000_000
    skew: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise OptionError for a workload of nothing."""
        for name in ("queries", "concurrent", "extents", "extent_bytes"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name.replace('_', ' ')} is {getattr(self, name)}: it has to be 1 at least")
        if not 0 <= self.skew <= 10:
            raise OptionError(f"skew is {self.skew:g}: it is the exponent of Zipf's law, from 0 to 10")


@dataclass
class Request:
    """An extent that a query wants."""

    query: int
    cartridge: int
    start: int
    stop: int
    arrived: float = 0.0


@dataclass(frozen=True)
class Service:
    """How a policy served a workload. Times in seconds; `responses` is how long each query took, in their order."""

    policy: str
    seconds: float
    mounts: int
    bytes: int
    requests: int
    responses: Sequence[float]
    drive_shares: Mapping[str, float]
    arm_share: float

    @property
    def fairness(self) -> float:
        """Jain's index of the responses: 1 when all queries took as long, 1/n when one took all the time."""
        times = np.array(self.responses)
        return float(times.sum() ** 2 / (len(times) * (times**2).sum())) if times.any() else 1.0

    def to_json(self) -> dict[str, object]:
        """A plain dictionary."""
        half, most, worst = (float(np.quantile(self.responses, share)) for share in (0.5, 0.95, 1.0))
        return {
            "seconds": round(self.seconds, 3),
            "queries_per_hour": round(len(self.responses) / self.seconds * 3600, 2),
            "mb_per_second": round(self.bytes / self.seconds / 1e6, 3),
            "mounts": self.mounts,
            "requests": self.requests,
            "requests_per_mount": round(self.requests / max(self.mounts, 1), 3),
            "response_mean": round(float(np.mean(self.responses)), 3),
            "response_median": round(half, 3),
            "response_95": round(most, 3),
            "response_max": round(worst, 3),
            "fairness": round(self.fairness, 4),
            "drive_shares": {kind: round(share, 4) for kind, share in self.drive_shares.items()},
            "arm_share": round(self.arm_share, 4),
        }


class Waiting:
    """Requests that wait, in order of arrival, and which cartridges are a drive's."""

    def __init__(self) -> None:
        self._by_number: dict[int, Request] = {}
        self._by_cartridge: dict[int, dict[int, Request]] = {}
        self._numbers = count()
        self.taken: set[int] = set()

    def __len__(self) -> int:
        return len(self._by_number)

    def add(self, request: Request) -> None:
        """Let a request wait."""
        number = next(self._numbers)
        self._by_number[number] = request
        self._by_cartridge.setdefault(request.cartridge, {})[number] = request

    def remove(self, number: int) -> Request:
        """Take a request out, to serve it."""
        request = self._by_number.pop(number)
        waiting = self._by_cartridge[request.cartridge]
        del waiting[number]
        if not waiting:
            del self._by_cartridge[request.cartridge]
        return request

    def on(self, cartridge: int | None) -> Mapping[int, Request]:
        """The requests for a cartridge, oldest first."""
        return self._by_cartridge.get(cartridge, {}) if cartridge is not None else {}

    def oldest(self, own: int | None) -> int | None:
        """The oldest request for a cartridge that no other drive has."""
        for number, request in self._by_number.items():
            if request.cartridge == own or request.cartridge not in self.taken:
                return number
        return None

    def fullest(self) -> int | None:
        """The oldest request for the free cartridge that most requests wait for."""
        free = (each for cartridge, each in self._by_cartridge.items() if cartridge not in self.taken)
        most = max(free, key=len, default=None)
        return next(iter(most)) if most else None

    def any_free(self) -> bool:
        """Whether a request waits for a cartridge that no drive has."""
        return any(cartridge not in self.taken for cartridge in self._by_cartridge)


Choose = Callable[[Waiting, Drive, DeviceProfile], int | None]


def _fifo(waiting: Waiting, drive: Drive, device: DeviceProfile) -> int | None:
    return waiting.oldest(drive.cartridge)


def _mounted_first(waiting: Waiting, drive: Drive, device: DeviceProfile) -> int | None:
    here = waiting.on(drive.cartridge)
    return next(iter(here)) if here else waiting.oldest(None)


def _sweep(waiting: Waiting, drive: Drive, device: DeviceProfile) -> int | None:
    here = waiting.on(drive.cartridge)
    if not here:
        return waiting.oldest(None)
    ahead = [number for number, request in here.items() if request.start >= drive.position]
    return min(ahead or here, key=lambda number: here[number].start)


def _shortest_locate(waiting: Waiting, drive: Drive, device: DeviceProfile) -> int | None:
    here = waiting.on(drive.cartridge)
    return _nearest(here, drive, device) if here else waiting.oldest(None)


def _fullest(waiting: Waiting, drive: Drive, device: DeviceProfile) -> int | None:
    here = waiting.on(drive.cartridge)
    return _nearest(here, drive, device) if here else waiting.fullest()


def _nearest(here: Mapping[int, Request], drive: Drive, device: DeviceProfile) -> int:
    return min(here, key=lambda number: locate_seconds(device, drive.position, here[number].start))


# Who is next for a drive that is free: `fifo` the oldest request; the others stay with their cartridge while anyone
# waits for it (batching), in order of arrival, of position, or of the shortest locate; then the cartridge of the
# oldest request, or for `fullest` the one most requests wait for.
POLICIES: Mapping[str, Choose] = {
    "fifo": _fifo,
    "mounted_first": _mounted_first,
    "sweep": _sweep,
    "shortest_locate": _shortest_locate,
    "fullest": _fullest,
}


def serve(workload: Workload, device: DeviceProfile, policy: str) -> Service:
    """Let a library serve a workload by a policy; OptionError for one that there is not.

    >>> from esker.storage.devices import device_profile
    >>> tiny = Workload(queries=20, concurrent=10)
    >>> by_turn, batched = (serve(tiny, device_profile("lto9-hh"), name) for name in ("fifo", "sweep"))
    >>> batched.mounts < by_turn.mounts
    True
    """
    check_policy(policy)
    return _Crowd(workload, device, policy).serve()


def check_policy(policy: str) -> None:
    """Raise OptionError for a policy that there is not."""
    if policy not in POLICIES:
        raise OptionError(f"no policy {policy!r}; there is: {', '.join(POLICIES)}")


class _Crowd:
    def __init__(self, workload: Workload, device: DeviceProfile, policy: str) -> None:
        self._workload, self._device, self._policy = workload, device, policy
        self._choose = POLICIES[policy]
        self._room = Room(device, DiskSpace(device))
        self._waiting = Waiting()
        self._requests = make_requests(workload, device)
        self._next = 0
        self._left = [len(requests) for requests in self._requests]
        self._begun = [0.0] * workload.queries
        self._ended = [0.0] * workload.queries
        self._open = workload.queries

    def serve(self) -> Service:
        self._room.run(self._everyone())
        room, requests = self._room, sum(map(len, self._requests))
        busy: dict[str, float] = {}
        arms = 0.0
        for (_, name, kind), seconds in room.busy.items():
            if name.startswith("drive"):
                busy[kind] = busy.get(kind, 0.0) + seconds
            else:
                arms += seconds
        drive_seconds = room.now * self._device.drives
        shares = {kind: seconds / drive_seconds for kind, seconds in sorted(busy.items())}
        shares["idle"] = max(1.0 - sum(shares.values()), 0.0)
        return Service(
            self._policy,
            room.now,
            room.mounts,
            room.tape_bytes,
            requests,
            [end - begin for begin, end in zip(self._begun, self._ended, strict=True)],
            shares,
            arms / (room.now * self._device.arms),
        )

    def _everyone(self) -> Process:
        for _ in range(min(self._workload.concurrent, self._workload.queries)):
            self._begin()
        for drive in self._room.drives:
            self._room.start(self._work(drive))
        yield self._room.now

    def _begin(self) -> None:
        query = self._next
        self._next += 1
        self._begun[query] = self._room.now
        for request in self._requests[query]:
            request.arrived = self._room.now
            self._waiting.add(request)

    def _work(self, drive: Drive) -> Process:
        while True:
            number = self._choose(self._waiting, drive, self._device)
            if number is None:
                if not self._open:
                    return
                yield lambda: not self._open or bool(self._waiting.on(drive.cartridge)) or self._waiting.any_free()
                continue
            request = self._waiting.remove(number)
            if request.cartridge != drive.cartridge:
                self._waiting.taken.discard(drive.cartridge if drive.cartridge is not None else -1)
                self._waiting.taken.add(request.cartridge)
                # It is gone for the others from now on; what is in the drive until then is nobody's.
                yield from self._room.mount(drive, request.cartridge)
            yield from self._room.transfer(drive, request.start, request.stop)
            self._done(request)

    def _done(self, request: Request) -> None:
        query = request.query
        self._left[query] -= 1
        if self._left[query]:
            return
        self._ended[query] = self._room.now
        self._open -= 1
        if self._next < self._workload.queries:
            self._begin()


def make_requests(workload: Workload, device: DeviceProfile) -> list[list[Request]]:
    """Draw every query's extents, the same for the same seed."""
    slots = device.slots or 1
    chance = generator(workload.seed, 1)
    weights = 1.0 / np.arange(1, slots + 1) ** workload.skew
    # Which cartridges are wanted most has nothing to do with their numbers.
    cartridges = chance.permutation(slots)[
        chance.choice(slots, size=(workload.queries, workload.extents), p=weights / weights.sum())
    ]
    capacity = device.capacity_bytes or workload.extent_bytes * 100
    sizes = np.minimum(chance.exponential(workload.extent_bytes, cartridges.shape) + 1, capacity / 2).astype(np.int64)
    starts = (chance.random(cartridges.shape) * (capacity - sizes)).astype(np.int64)
    return [[*_requests(query, cartridges[query], starts[query], sizes[query])] for query in range(workload.queries)]


def _requests(query: int, cartridges: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> Iterator[Request]:
    for cartridge, start, size in zip(cartridges.tolist(), starts.tolist(), sizes.tolist(), strict=True):
        yield Request(query, cartridge, start, start + size)
