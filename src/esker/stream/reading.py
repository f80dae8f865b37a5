"""Reading a stream element by element from a loop of the user's, asynchronous or not."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Generic, TypeVar

import anyio

from esker.errors import StreamError
from esker.stream.feed import END, End
from esker.stream.run import Elements, Run, open_run

T = TypeVar("T")

Open = Callable[[Run], Elements[T]]


def refuse_running_loop() -> None:
    """Refuse to block a thread that runs an event loop: nothing else of it would go on, maybe not even the stream."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise StreamError(
        "an event loop runs in this thread: write `await stream.run_async(sink)`, or `async for element in stream`"
    )


@asynccontextmanager
async def opened(open_in: Open[T]) -> AsyncIterator[Elements[T]]:
    """Open a stream for the block; everything of it is closed when the block ends."""
    async with open_run() as run, aclosing(open_in(run)) as elements:
        yield elements


class _Exchange(Generic[T]):
    """Between the task that runs the stream and whoever takes its elements: one asks, one answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[T | End] | None = None

    async def serve(self, open_in: Open[T]) -> None:
        """Run the stream, an element for each question."""
        try:
            async with opened(open_in) as elements:
                while True:
                    await self.asked.wait()
                    self.asked.clear()
                    element = await anext(elements, END)
                    if element is END:
                        break
                    self._say(element)
                    del element
        except Exception as error:  # noqa: BLE001  # raised where elements are taken
            if self.answer is not None and not self.answer.done():
                self.answer.set_exception(error)
            return
        # Only now: when the end is known, all is closed.
        self._say(END)

    def _say(self, element: T | End) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(element)


class Reader(Generic[T]):
    """An asynchronous iterator over a stream that runs in a task of its own.

    That ends when the last element was taken, on `aclose`, when the taking is cancelled, and when the reader is
    dropped: a `break` is enough to have files closed soon.
    """

    def __init__(self, open_in: Open[T]) -> None:
        self._exchange: _Exchange[T] = _Exchange()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._exchange.serve(open_in), name="esker-stream")
        # The task knows the exchange, not this object; so dropping this object ends the task.
        self._finalizer = weakref.finalize(self, _cancel, loop, self._task)
        self._finalizer.atexit = False

    def __aiter__(self) -> Reader[T]:
        return self

    async def __anext__(self) -> T:
        element = await self.next()
        if element is END:
            raise StopAsyncIteration
        return element

    async def next(self) -> T | End:
        """Ask for the next element."""
        if self._task.done():
            return END
        self._exchange.answer = asyncio.get_running_loop().create_future()
        self._exchange.asked.set()
        try:
            return await self._exchange.answer
        except BaseException:
            await self.aclose()
            raise
        finally:
            self._exchange.answer = None

    async def aclose(self) -> None:
        """End the stream; returns when everything of it is closed."""
        self._task.cancel()
        await asyncio.wait([self._task])


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    if not loop.is_closed() and not task.done():
        loop.call_soon_threadsafe(task.cancel)


def read_blocking(open_in: Open[T]) -> Iterator[T]:
    """Give the elements to a loop that is not asynchronous; the stream runs only while an element is asked for."""
    refuse_running_loop()
    with asyncio.Runner() as runner:
        reader = runner.run(_make(open_in))
        try:
            while (element := runner.run(reader.next())) is not END:
                yield element
                del element
        finally:
            runner.run(reader.aclose())


async def _make(open_in: Open[T]) -> Reader[T]:
    return Reader(open_in)


def run_blocking(main: Callable[[], object]) -> object:
    """Run an asynchronous function to its end; Ctrl-C cancels it, so that it can close what it holds."""
    refuse_running_loop()
    return anyio.run(main)  # type: ignore[arg-type]  # typed by the caller
