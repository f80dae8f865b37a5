"""Reading a plan's windows: recalled first where they must be, read ahead where that is free, kept where asked."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import cast

from esker.core.byte_size import format_bytes
from esker.core.checksum import checksum_bytes
from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.context import QueryContext
from esker.core.extent import Extent
from esker.core.memory import Reservation
from esker.errors import NotThawedError, PayloadCorruptError
from esker.storage import ReadRequest, Recall, Tier
from esker.storage.recall import wait_for
from esker.thaw.fetch_cache import FetchCache
from esker.thaw.parquet_ranges import Fetched
from esker.thaw.plan import ThawPlan
from esker.thaw.shared_reads import SharedReads
from esker.thaw.window import Window

# How soon a restore is looked for first; later it is looked for less often.
POLL_SECONDS = 60.0
_KEYS_SHOWN = 5

Raw = Mapping[str, Sequence[Fetched]]


class Reader:
    """The raw bytes of a plan's windows, one window at a time, and at most one ahead.

    Windows come in row-id order; with `context.ordered` off those of a cold tier come as their extents become
    readable. Holds its memory under "thaw". A context manager.
    """

    def __init__(self, plan: ThawPlan, context: QueryContext) -> None:
        self._plan = plan
        self._tier = plan.tier
        self._context = context
        self._clock: Clock = getattr(plan.tier, "clock", SYSTEM_CLOCK)
        self._start = self._clock.seconds()
        self._stack = ExitStack()
        self._cache: FetchCache | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._extents = {extent.key: extent for window in plan.windows for extent in window.extents}
        # Halves of a window come before the windows after it.
        self._halves: deque[Window] = deque()
        self._in_turn = self._arriving()
        # How many windows of each extent are still to come.
        self._left = Counter(extent.key for window in plan.windows for extent in window.extents)
        self._shares = None if plan.tier.capability.random_read else SharedReads.of(plan.tier)

    def __enter__(self) -> Reader:
        context = self._context
        if context.cache_folder is not None:
            cache = FetchCache(context.cache_folder, self._tier.uri, context.cache_limit_bytes)
            self._cache = self._stack.enter_context(cache)
        if self._tier.capability.random_read and not self._plan.recalls:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="esker-thaw")
            self._stack.callback(self._pool.shutdown, wait=True, cancel_futures=True)
        if self._shares is not None:
            self._stack.enter_context(self._shares.running())
        return self

    def __exit__(self, *reason: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[tuple[Window, Raw]]:
        ahead: _Ahead | None = None
        with self._reserved() as first, self._reserved() as second:
            free = [first, second]
            while True:
                self._context.check()
                if ahead is not None:
                    window, reservation, raw = ahead.window, ahead.reservation, ahead.raw.result()
                else:
                    found = self._next()
                    if found is None:
                        return
                    window, reservation = found, free.pop()
                    if not self._fits(window, reservation):
                        self._halves.extendleft(reversed(window.halves()))
                        free.append(reservation)
                        continue
                    self._check_deadline(window)
                    raw = self._read(window)
                ahead = self._read_ahead(reservation, free)
                yield window, raw
                reservation.resize(0)
                free.append(reservation)

    @contextmanager
    def _reserved(self) -> Iterator[Reservation]:
        with self._context.budget.reserve("thaw") as reservation:
            yield reservation

    def _next(self) -> Window | None:
        if self._halves:
            return self._halves.popleft()
        window = next(self._in_turn, None)
        if window is not None:
            self._left.subtract(extent.key for extent in window.extents)
        return window

    def _fits(self, window: Window, reservation: Reservation) -> bool:
        """Reserve the window's memory; False when it should be halved first. A single row group has to fit."""
        budget = self._context.budget
        if len(window.groups) > 1:
            return window.memory_bytes <= budget.free_bytes // 2 and reservation.try_resize(window.memory_bytes)
        reservation.resize(window.memory_bytes)
        return True

    def _read_ahead(self, current: Reservation, free: list[Reservation]) -> _Ahead | None:
        """Begin to read the next window, when both fit in half of what is free."""
        if self._pool is None:
            return None
        window = self._next()
        if window is None:
            return None
        budget, wanted = self._context.budget, current.bytes + window.memory_bytes
        late = self._context.deadline is not None and self._seconds() >= self._context.deadline
        if late or wanted > (budget.free_bytes + current.bytes) // 2 or not free[-1].try_resize(window.memory_bytes):
            self._halves.appendleft(window)
            return None
        return _Ahead(window, free.pop(), self._pool.submit(self._read, window))

    def _arriving(self) -> Iterator[Window]:
        """Give the windows in the order in which they are read."""
        cold = {extent.key: extent for extent in self._plan.recalls}
        if not cold:
            yield from self._plan.windows
            return
        arrivals = self._recalled([*cold.values()])
        if self._context.ordered:
            arrived: set[str] = set()
            for window in self._plan.windows:
                while not cold.keys() & {extent.key for extent in window.extents} <= arrived:
                    arrived.add(next(arrivals).key)
                yield window
            return
        of_extent: dict[str, list[Window]] = {}
        for window in self._plan.windows:
            of_extent.setdefault(window.extents[0].key, []).append(window)
        for key, ready in of_extent.items():
            if key not in cold:
                yield from ready
        for extent in arrivals:
            yield from of_extent[extent.key]

    def _recalled(self, extents: Sequence[Extent]) -> Iterator[Extent]:
        """Ask for extents, and give each as it becomes readable."""
        tier, context = cast(Recall, self._tier), self._context
        context.log.emit(
            "recall",
            tier=self._tier.uri.partition("?")[0],
            extents=[extent.key for extent in extents],
            extent_bytes=[extent.bytes for extent in extents],
            cost=self._plan.recall.to_json(),
        )

        def polled(ready: int, total: int) -> None:
            context.check()
            context.progress.advance("recall", ready, total, "extents")
            context.log.emit("recall_waiting", ready=ready, total=total, waited_seconds=round(self._seconds(), 3))

        deadline = None if context.deadline is None else max(context.deadline - self._seconds(), 0.0)
        clock = _Interruptible(self._clock, context)
        with SharedReads.of(self._tier).asking:
            tier.request(extents, deadline)
        for extent in wait_for(
            tier, extents, deadline=deadline, clock=clock, poll_seconds=POLL_SECONDS, on_poll=polled
        ):
            context.log.emit("recalled", key=extent.key, waited_seconds=round(self._seconds(), 3))
            yield extent

    def _read(self, window: Window) -> Raw:
        """Bring the window's ranges; check objects that were read whole."""
        raw: dict[str, list[Fetched]] = {key: [] for key in window.ranges}
        missing: list[ReadRequest] = []
        for request in window.requests:
            kept = self._cache.find(self._extents[request.key], request.range) if self._cache is not None else None
            if kept is None:
                missing.append(request)
            else:
                raw[request.key].append(Fetched(request.range.start, kept))
        for request, data in self._fetch(missing):
            self._context.check()
            extent = self._extents[request.key]
            _check(request, data, extent, self._tier)
            if self._cache is not None:
                self._cache.keep(extent, request.range, data)
            raw[request.key].append(Fetched(request.range.start, data))
        for key, parts in raw.items():
            read_bytes = sum(len(part.data) for part in parts)
            self._context.log.emit("extent_read", key=key, bytes=read_bytes, requests=len(parts))
        return raw

    def _fetch(self, requests: Sequence[ReadRequest]) -> Iterable[tuple[ReadRequest, bytes | memoryview]]:
        return self._shares.fetch(requests) if self._shares is not None else self._tier.fetch(requests)

    def _seconds(self) -> float:
        return self._clock.seconds() - self._start

    def _check_deadline(self, next_window: Window) -> None:
        """Raise NotThawedError, with what is missing and how to go on, when the deadline has passed."""
        deadline = self._context.deadline
        if deadline is None or self._seconds() < deadline:
            return
        begun = {extent.key for window in (next_window, *self._halves) for extent in window.extents}
        missing = [extent for key, extent in self._extents.items() if self._left[key] > 0 or key in begun]
        keys = ", ".join(repr(extent.key) for extent in missing[:_KEYS_SHOWN])
        more = f" and {len(missing) - _KEYS_SHOWN:,} more" if len(missing) > _KEYS_SHOWN else ""
        kept = (
            f"run the same again: what was fetched is kept in {self._cache.folder} and not fetched twice"
            if self._cache is not None
            else "run it again with a later deadline, and with cache=FOLDER to keep what is fetched"
        )
        size = format_bytes(sum(extent.bytes for extent in missing))
        raise NotThawedError(
            f"the deadline of {deadline:,.10g} s has passed, and {len(missing):,} of {len(self._extents):,} extents"
            f" ({size}) of {self._tier.uri.partition('?')[0]} are missing: {keys}{more}; {kept}"
        )


@dataclass(frozen=True)
class _Ahead:
    """A window that is being read while another is decoded."""

    window: Window
    reservation: Reservation
    raw: Future[Raw]


class _Interruptible(Clock):
    """A clock whose sleeper notices within a second that the query was cancelled."""

    def __init__(self, clock: Clock, context: QueryContext) -> None:
        self._clock = clock
        self._context = context

    def seconds(self) -> float:
        return self._clock.seconds()

    def wall_seconds(self) -> float:
        return self._clock.wall_seconds()

    def sleep(self, seconds: float) -> None:
        until = self._clock.seconds() + seconds
        while (left := until - self._clock.seconds()) > 0:
            self._context.check()
            self._clock.sleep(min(left, 1.0))


def _check(request: ReadRequest, data: bytes | memoryview, extent: Extent, tier: Tier) -> None:
    asked = request.range
    if len(data) != asked.length:
        raise PayloadCorruptError(f"{tier.uri} gave {len(data):,} bytes of {extent.key!r} for {asked.length:,}")
    recorded = extent.checksum
    if asked.length == extent.bytes and recorded.startswith("crc32:") and checksum_bytes(data) != recorded:
        raise PayloadCorruptError(
            f"the extent {extent.key!r} on {tier.uri} is damaged: its checksum is {checksum_bytes(data)},"
            f" the catalogue says {recorded}; restore it from a copy"
        )
