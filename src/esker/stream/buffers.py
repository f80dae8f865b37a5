"""Buffers between a quick step and a slow one, and what is done when they are full."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from esker.errors import BufferOverflowError, InputError, OptionError
from esker.stream.feed import Feed
from esker.stream.run import Elements, Stage
from esker.stream.supervisor import Decision, called, shown

T = TypeVar("T")
U = TypeVar("U")

OVERFLOWS = ("back_pressure", "drop_head", "drop_tail", "drop_new", "drop_buffer", "fail")


def weight(weigh: Callable[[Any], float] | None, operator: str, element: object) -> float:
    """Weigh an element: one, or what `weigh` says."""
    return 1 if weigh is None else called(weigh, operator, shown(element), element)


def byte_count(element: object) -> int:
    """Count the bytes of an element: `nbytes` of arrays and Arrow data, else its length.

    >>> byte_count(b"four"), byte_count(memoryview(b"four"))
    (4, 4)
    """
    counted = getattr(element, "nbytes", None)
    if isinstance(counted, int):
        return counted
    if isinstance(element, Sized):
        return len(element)
    raise InputError(f"an element of type {type(element).__name__} has no bytes to count; pass weigh=")


@dataclass
class Store(Generic[T]):
    """What a buffer holds, by weight, and what it drops when more comes."""

    size: float
    overflow: str
    operator: str
    weigh: Callable[[T], float] | None = None
    on_drop: Callable[[T], object] | None = None
    elements: deque[T] = field(default_factory=deque)
    held: float = 0

    def has_room(self) -> bool:
        """Say whether the next element may be asked for; who drops asks on."""
        return self.overflow != "back_pressure" or self.held < self.size

    def put(self, element: T) -> bool:
        """Add an element, or drop what the strategy says; says whether it was added."""
        new = weight(self.weigh, self.operator, element)
        if self.overflow != "back_pressure":
            while self.elements and self.held + new > self.size:
                if not self._make_room(element):
                    return False
        self.elements.append(element)
        self.held += new
        return True

    def take(self) -> T:
        """Take the oldest."""
        element = self.elements.popleft()
        self.held -= weight(self.weigh, self.operator, element)
        return element

    def _make_room(self, element: T) -> bool:
        if self.overflow == "drop_head":
            self._drop(self.take())
        elif self.overflow == "drop_tail":
            youngest = self.elements.pop()
            self.held -= weight(self.weigh, self.operator, youngest)
            self._drop(youngest)
        elif self.overflow == "drop_buffer":
            while self.elements:
                self._drop(self.take())
        elif self.overflow == "drop_new":
            self._drop(element)
            return False
        else:
            raise BufferOverflowError(
                f"{self.operator}: more than {self.size:,g} came before they were taken; raise its size, or let"
                " overflow= be 'back_pressure' or one that drops"
            )
        return True

    def _drop(self, element: T) -> None:
        if self.on_drop is not None:
            called(self.on_drop, self.operator, shown(element), element)


def check_overflow(overflow: str) -> None:
    """Refuse a strategy that is not there."""
    if overflow not in OVERFLOWS:
        raise OptionError(f"overflow={overflow!r} is none of {', '.join(OVERFLOWS)}")


async def buffer(
    source: Elements[T],
    stage: Stage,
    size: float,
    overflow: str,
    weigh: Callable[[T], float] | None,
    on_drop: Callable[[T], object] | None,
) -> Elements[T]:
    """Hold up to `size` elements (or their weight) that were asked for ahead."""
    store: Store[T] = Store(size, overflow, stage.operator, weigh, on_drop)

    def put(element: T) -> None:
        store.put(element)
        feed.arrived.set()

    feed = Feed(stage.run, source, store.has_room, put=put)
    async with feed:
        while True:
            while not store.elements and not feed.ended:
                await feed.arrived.wait()
            if not store.elements:
                break
            element = store.take()
            feed.taken.set()
            yield element
            del element  # a slow taker holds it, not we
        feed.take_now()  # raises what the source failed with


async def batch(
    source: Elements[T],
    stage: Stage,
    size: float,
    first: Callable[[T], U],
    add: Callable[[U, T], U],
    weigh: Callable[[T], float] | None,
) -> Elements[U]:
    """Merge what comes while nobody asks into one element, up to a weight of `size`."""
    state: list[U] = []
    held = 0.0

    def put(element: T) -> None:
        nonlocal held
        try:
            merged = add(state[0], element) if state else first(element)
        except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
            if stage.failed(error, add if state else first, element) is Decision.RESTART:
                state.clear()
                held = 0.0
        else:
            state[:] = [merged]
            held += weight(weigh, stage.operator, element)
        feed.arrived.set()

    feed = Feed(stage.run, source, lambda: held < size, put=put)
    async with feed:
        while True:
            while not state and not feed.ended:
                await feed.arrived.wait()
            if not state:
                break
            merged = state.pop()
            held = 0.0
            feed.taken.set()
            yield merged
        feed.take_now()
