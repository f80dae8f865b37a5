"""Thaws that run at the same time and share a tier's media: their reads go to it together, each byte once.

The sources are source 003's related work: queries decide first and ask for tertiary data together (Yu and DeWitt,
pre-execution and batching), and reads are reordered so that what is mounted is read first (Sarawagi and Stonebraker).
"""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from esker.core.clock import SYSTEM_CLOCK
from esker.core.extent import ByteRange
from esker.storage import ReadRequest, Tier
from esker.thaw.parquet_ranges import Spans

# How long a thaw waits for others that run to ask too. Against a mount it is nothing.
GATHER_SECONDS = 0.5
# How often those that wait for another cartridge let others go first.
_PASSED_MAX = 16

Answer = tuple[ReadRequest, bytes | memoryview]

_SHARED: weakref.WeakKeyDictionary[Tier, SharedReads] = weakref.WeakKeyDictionary()
_SHARED_LOCK = threading.Lock()


class SharedReads:
    """The reads of one tier for all thaws of this process.

    A thaw says that it runs (`running`) and then fetches. When all that run are waiting, or one has waited
    `gather_seconds`, a round begins: those that need no mount, or else the one that is furthest behind with all that
    share its mounts, go to the tier in one call, which orders it. So a cartridge is mounted once for all of them, one
    that began later catches up, and a range that several want is read once. Who is passed over too often goes next.
    Threads share it; one of those that wait does the reading.
    """

    def __init__(self, tier: Tier, gather_seconds: float = GATHER_SECONDS) -> None:
        self._tier = weakref.ref(tier)
        self._gather_seconds = gather_seconds
        self._changed = threading.Condition()
        # How many thaws run in each thread: those of one thread never ask at the same time.
        self._running: Counter[int] = Counter()
        self._waiting: list[_Ask] = []
        self._serving = False
        self._round_end = 0.0
        self.rounds = 0
        # Held while extents are asked for, so that two thaws do not find the same one cold and pay for it twice.
        self.asking = threading.Lock()

    @classmethod
    def of(cls, tier: Tier) -> SharedReads:
        """Give the one of a tier; it lives as long as the tier."""
        with _SHARED_LOCK:
            if tier not in _SHARED:
                _SHARED[tier] = cls(tier)
            return _SHARED[tier]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count a thaw as one that runs: others wait a moment for what it asks for."""
        thread = threading.get_ident()
        with self._changed:
            self._running[thread] += 1
        try:
            yield
        finally:
            with self._changed:
                self._running[thread] -= 1
                if not self._running[thread]:
                    del self._running[thread]
                self._changed.notify_all()

    def fetch(self, requests: Iterable[ReadRequest]) -> Sequence[Answer]:
        """Read ranges, together with those of others; what the tier raises is raised in all of them."""
        ask = _Ask([*requests])
        if not ask.requests:
            return []
        with self._changed:
            self._waiting.append(ask)
            self._changed.notify_all()
        # Whoever serves a round may not be in it.
        while batch := self._wait(ask):
            self._serve(batch)
        if ask.error is not None:
            raise ask.error
        return ask.answers

    def _wait(self, ask: _Ask) -> Sequence[_Ask]:
        """Wait until the ask was served, or give those of a round when this thread is to serve them."""
        asked_at = SYSTEM_CLOCK.seconds()
        with self._changed:
            while not ask.done:
                # Those that were served a moment ago get time to ask for more.
                left = max(asked_at, self._round_end) + self._gather_seconds - SYSTEM_CLOCK.seconds()
                if not self._serving and (len(self._waiting) >= len(self._running) or left <= 0):
                    batch = self._choose()
                    self._waiting = [other for other in self._waiting if other not in batch]
                    self._serving = True
                    return batch
                self._changed.wait(None if self._serving else max(left, 0.0))
        return ()

    def _choose(self) -> Sequence[_Ask]:
        """Choose who is served in this round, and remember who was passed over."""
        waiting = self._waiting
        if len(waiting) == 1:
            return [*waiting]
        alone = {ask: self._mounts([ask]) for ask in waiting}
        batch = [ask for ask in waiting if not alone[ask] or ask.passed >= _PASSED_MAX]
        if not batch:
            batch = [min(waiting, key=lambda ask: min(ask.requests))]
        mounts = self._mounts(batch)
        for ask in waiting:
            if ask not in batch:
                with_it = self._mounts([*batch, ask])
                if with_it - mounts < alone[ask]:
                    batch, mounts = [*batch, ask], with_it
                else:
                    ask.passed += 1
        return batch

    def _mounts(self, batch: Sequence[_Ask]) -> int:
        tier = self._tier()
        assert tier is not None, "whoever fetches holds the tier"
        return tier.estimate(_together(batch)).mounts

    def _serve(self, batch: Sequence[_Ask]) -> None:
        try:
            tier = self._tier()
            assert tier is not None, "whoever fetches holds the tier"
            found = _Found(tier.fetch(_together(batch)))
            for ask in batch:
                ask.answers = [(request, found.part(request)) for request in ask.requests]
        except BaseException as error:  # noqa: BLE001  # raised again in every thread that waits
            for ask in batch:
                ask.error = error
        with self._changed:
            for ask in batch:
                ask.done = True
            self.rounds += 1
            self._round_end = SYSTEM_CLOCK.seconds()
            self._serving = False
            self._changed.notify_all()


class _Ask:
    """What one thaw waits for."""

    def __init__(self, requests: Sequence[ReadRequest]) -> None:
        self.requests = requests
        self.answers: Sequence[Answer] = ()
        self.error: BaseException | None = None
        self.done = False
        self.passed = 0


def _together(batch: Sequence[_Ask]) -> Sequence[ReadRequest]:
    """Give ranges that hold all that is asked for; only those of several thaws that overlap are joined."""
    if len(batch) == 1:
        return batch[0].requests
    by_key: dict[str, set[ByteRange]] = {}
    for ask in batch:
        for key, part in ask.requests:
            by_key.setdefault(key, set()).add(part)
    # A gap below zero: ranges that only touch stay apart.
    return [ReadRequest(key, part) for key, parts in by_key.items() for part in Spans.of_ranges([*parts]).merged(-1)]


class _Found:
    """What was read, to be handed out in the parts asked for."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._by_key: dict[str, list[tuple[int, bytes | memoryview]]] = {}
        for (key, part), data in answers:
            self._by_key.setdefault(key, []).append((part.start, data))
        for parts in self._by_key.values():
            parts.sort(key=lambda part: part[0])

    def part(self, request: ReadRequest) -> memoryview:
        parts = self._by_key[request.key]
        start, data = parts[bisect_right(parts, request.range.start, key=lambda part: part[0]) - 1]
        return memoryview(data)[request.range.start - start : request.range.stop - start]
