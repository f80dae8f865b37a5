"""A state machine: messages, ticks and finished syncs go in, effects come out. It has no clock, socket or disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from esker.cluster.records import Record


class Send(NamedTuple):
    """Effect: carry a message; it may be lost, repeated, or overtaken."""

    target: int
    stamp: int
    message: Any


class Append(NamedTuple):
    """Effect: put a record at the end of the log; it may be lost until the next sync."""

    record: Record


class Sync(NamedTuple):
    """Effect: make all records so far durable, then call `synced`; several may be served by one."""


Effect = Send | Append | Sync
_SYNC = Sync()


class Machine(ABC):
    """What the machines of nodes and of the coordinator share.

    Memory changes when a record is appended, or later; words that rely on it leave when it is durable. Whoever drives
    a machine takes its effects after every event, in order, and calls `synced` once for each `Sync`, in order.
    """

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self._after_sync: deque[Callable[[], None]] = deque()

    @abstractmethod
    def receive(self, source: int, stamp: int, message: Any) -> None:
        """Take a message."""

    @abstractmethod
    def tick(self) -> None:
        """Let a moment pass."""

    @abstractmethod
    def checkpoint(self) -> list[Record]:
        """Give the fewest records that make this state again; only while `settled`."""

    @property
    def settled(self) -> bool:
        """Whether nothing waits for the disk: then the log may be replaced by `checkpoint()`."""
        return not self._after_sync

    def take(self) -> list[Effect]:
        """Give the effects since the last time."""
        effects = self._effects
        self._effects = []
        return effects

    def synced(self) -> None:
        """Learn that the oldest `Sync` not yet reported is done."""
        self._after_sync.popleft()()

    def _append(self, record: Record) -> None:
        self._effects.append(Append(record))

    def _force(self, record: Record, then: Callable[[], None]) -> None:
        """Append a record; call `then` when it is durable."""
        self._effects += (Append(record), _SYNC)
        self._after_sync.append(then)

    def _sync(self, then: Callable[[], None]) -> None:
        """Call `then` when all records so far are durable."""
        self._effects.append(_SYNC)
        self._after_sync.append(then)


class Algebra(Protocol):
    """What a node must be able to do with values; no bytes at all stand for no rows.

    Values that are not what was put raise DamagedValueError.
    """

    def answer(self, terms: Sequence[Sequence[bytes]]) -> bytes:
        """OR the values of each term, AND the terms; stop at all ones within, at no rows between."""

    def count(self, terms: Sequence[Sequence[bytes]]) -> bytes:
        """Count the rows of the answer, in 8 bytes."""

    def merge(self, values: Sequence[bytes]) -> bytes:
        """OR values that are on their way and will not be seen again."""

    def is_full(self, value: bytes) -> bool:
        """Say whether a value has all rows: then nothing need be ORed to it."""

    def regroup(self, pieces: Sequence[tuple[bytes, int, int]]) -> bytes:
        """Put rows [start, stop) of values one behind the other; the same bytes wherever it is done."""


class Log(Protocol):
    """Where records go: a file, or a simulated disk. The narrow interface that a driver needs."""

    def append(self, record: Record) -> None:
        """Add a record; not durable yet."""

    def sync(self) -> None:
        """Make all that was appended durable."""

    def records(self) -> list[Record]:
        """Give what is there, in order; what was torn at the end is cut off."""

    def replace(self, records: Sequence[Record]) -> None:
        """Put these in the place of all, at once and durably."""
