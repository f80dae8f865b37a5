"""A feed: elements read by a task of its own, at most so many ahead of whoever takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from enum import Enum
from types import TracebackType
from typing import Generic, TypeVar

import anyio

from esker.stream.run import Elements, Run, Tasks

T = TypeVar("T")


class End(Enum):
    """What is taken after the last element."""

    END = "end"


END = End.END


class Signal:
    """Wakes everyone who waits for it; one event loop, so checking and then waiting misses nothing."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def set(self) -> None:
        """Wake who waits now."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self) -> None:
        """Wait for the next `set`."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()


class Mailbox(Generic[T]):
    """Elements put by some tasks and taken by one, in order; a failure is raised after what came before it."""

    def __init__(self, arrived: Signal | None = None) -> None:
        self.elements: deque[T] = deque()
        self.arrived = arrived or Signal()
        self.taken = Signal()
        self._failure: Exception | None = None
        self._ended = False

    @property
    def ready(self) -> bool:
        """True when `take` would not wait."""
        return bool(self.elements) or self._ended

    @property
    def ended(self) -> bool:
        """True when nothing will be put any more."""
        return self._ended

    def put(self, element: T) -> None:
        """Add an element."""
        self.elements.append(element)
        self.arrived.set()

    def end(self, failure: Exception | None = None) -> None:
        """Say that nothing more comes, or that this came instead."""
        self._failure = failure
        self._ended = True
        self.arrived.set()

    async def take(self) -> T | End:
        """Wait for the next element; raises the failure after the last of them."""
        while not self.ready:
            await self.arrived.wait()
        return self.take_now()

    def take_now(self) -> T | End:
        """Take when `ready`."""
        if self.elements:
            element = self.elements.popleft()
            self.taken.set()
            return element
        if self._failure is not None:
            raise self._failure
        return END


class Feed(Mailbox[T]):
    """Elements of `source`, read ahead while `has_room` of what lies here; a context manager that closes the source.

    Without `has_room` it is one element: the next is asked for when that was taken.
    """

    def __init__(
        self,
        run: Run,
        source: Elements[T],
        has_room: Callable[[], bool] | None = None,
        arrived: Signal | None = None,
        put: Callable[[T], None] | None = None,
    ) -> None:
        super().__init__(arrived)
        self._source = source
        self._has_room = has_room or (lambda: not self.elements)
        self._put = put or self.put
        self._tasks = Tasks(run)

    async def _read(self) -> None:
        try:
            async with aclosing(self._source) as source:
                while True:
                    while not self._has_room():
                        await self.taken.wait()
                    try:
                        element = await anext(source)
                    except StopAsyncIteration:
                        break
                    self._put(element)
                    del element  # or it would be held while waiting for room
            self.end()
        except Exception as error:  # noqa: BLE001  # raised where the elements are taken
            self.end(error)

    async def __aenter__(self) -> Feed[T]:
        self._tasks.start(self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.close()
