"""A tier around a tier: everything is passed on, so that a wrapper says only what is different."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

from esker.core.cost import Cost
from esker.core.extent import ByteRange
from esker.core.seeded import generator
from esker.errors import OptionError
from esker.storage.device_event import DeviceEvent
from esker.storage.tier import ReadRequest, Stored, Tier


class WrappedTier(Tier):
    """Pass everything on to `inner`; what the inner tier has beside the face of a tier is there, too."""

    name: str

    def __init__(self, inner: Tier) -> None:
        super().__init__(inner.uri, inner.device)
        self.inner = inner
        self.capability = inner.capability  # type: ignore[misc]  # that of the tier inside

    @classmethod
    def open(cls, place: str, options: Mapping[str, str]) -> Self:
        """Wrappers have no place of their own: raise OptionError."""
        raise OptionError(f"{cls.__name__} wraps a tier that is open; use esker.storage.wrap")

    def write(self, key: str, data: Path | bytes) -> Stored:
        return self.inner.write(key, data)

    def read(self, key: str, ranges: Sequence[ByteRange]) -> list[bytes | memoryview]:
        parts = {request.range: data for request, data in self.fetch([ReadRequest(key, asked) for asked in ranges])}
        return [parts[asked] for asked in ranges]

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        return self.inner.fetch(requests)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        return self.inner.list(prefix)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def stat(self, key: str) -> Stored:
        return self.inner.stat(key)

    @property
    def counted(self) -> Cost:
        return self.inner.counted

    @property
    def timeline(self) -> Sequence[DeviceEvent]:
        return self.inner.timeline

    def order(self, requests: Iterable[ReadRequest]) -> Sequence[ReadRequest]:
        return self.inner.order(requests)

    def estimate(self, requests: Iterable[ReadRequest]) -> Cost:
        return self.inner.estimate(requests)

    def estimate_each(self, batches: Iterable[Iterable[ReadRequest]]) -> Cost:
        return self.inner.estimate_each(batches)

    def __getattr__(self, name: str) -> Any:
        # Asked only for what is not here: clocks, recall, what one tier has and another has not.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)


class FaultyTier(WrappedTier):
    """Do something wrong now and then: at `rate` of the requests, by a seeded chance, at most `limit` times.

    `injected` says how often it happened.
    """

    kind = "fault"

    def __init__(self, inner: Tier, *, seed: int = 0, rate: float = 0.1, limit: int | None = None) -> None:
        if not 0 <= rate <= 1:
            raise OptionError(f"rate={rate!r}: it is a share of the requests, from 0 to 1")
        super().__init__(inner)
        self.seed = seed
        self._rate = rate
        self._limit = limit
        self._random = generator(seed)
        self._chance_lock = threading.Lock()
        self.injected = 0

    def strikes(self) -> bool:
        """Throw the dice for one request, and count it when the fault happens."""
        with self._chance_lock:
            happens = bool(self._random.random() < self._rate)
            if not happens or (self._limit is not None and self.injected >= self._limit):
                return False
            self.injected += 1
            return True

    def place_in(self, length: int) -> int:
        """Choose a byte of a range."""
        with self._chance_lock:
            return int(self._random.integers(0, max(length, 1)))

    @property
    def drill(self) -> str:
        """What messages say, so that nobody takes a drill for the real thing."""
        return f"(drill: {self.kind}, seed {self.seed})"

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        for request in self.order(requests):
            for served, data in self.inner.fetch([request]):
                yield served, self.disturb(served, data) if self.strikes() else data

    def disturb(self, request: ReadRequest, data: bytes | memoryview) -> bytes | memoryview:
        """Do wrong with what was read: give other bytes, or raise."""
        return data

    def fail(self, error: Exception) -> NoReturn:
        """Raise, as the real thing would."""
        raise error
