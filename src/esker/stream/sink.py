"""Sinks: what a stream ends in. A sink asks for elements, so it sets the pace, and gives the result of the run."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from esker.engine.user_function import failure
from esker.errors import EskerError, InputError
from esker.stream.fan_out import FanOut
from esker.stream.run import Elements, Run, Stage, Tasks
from esker.stream.supervisor import shown

if TYPE_CHECKING:
    import pyarrow as pa

    from esker.collection.dataset import Dataset
    from esker.stream.stream import Stream

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")

# Pieces smaller than this are gathered before a thread writes them: handing over costs as much as writing them.
WRITE_BYTES = 256 << 10
DATASET_ROWS = 1 << 16

Consume = Callable[[Elements[T], Run], Awaitable[R]]


class Sink(Generic[T, R]):
    """What becomes of a stream's elements; made by the functions below, run by `Stream.run`.

    >>> from esker import Stream
    >>> Stream([3, 1, 2]).run(Sink.fold(0, lambda total, n: total + n))
    6
    """

    def __init__(self, consume: Consume[T, R]) -> None:
        self.consume = consume

    def after(self, flow: Callable[[Stream[U]], Stream[T]]) -> Sink[U, R]:
        """Put a flow before the sink.

        >>> from esker import Stream
        >>> evens = Sink.count().after(lambda stream: stream.filter(lambda n: n % 2 == 0))
        >>> Stream(range(10)).run(evens)
        5
        """
        from esker.stream.stream import Stream

        async def consume(source: Elements[U], run: Run) -> R:
            elements = flow(Stream.opened(source))._open(run)
            async with aclosing(elements):
                return await self.consume(elements, run)

        return Sink(consume)

    @staticmethod
    def collect() -> Sink[T, list[T]]:
        """Gather every element in a list."""

        async def consume(source: Elements[T], run: Run) -> list[T]:
            return [element async for element in source]

        return Sink(consume)

    @staticmethod
    def fold(zero: U, function: Callable[[U, T], U]) -> Sink[T, U]:
        """Fold elements into one value: `function(so_far, element)`, beginning with a copy of `zero`."""

        async def consume(source: Elements[T], run: Run) -> U:
            state = deepcopy(zero)
            async for element in source:
                try:
                    state = function(state, element)
                except Exception as error:
                    raise _failed(error, function, "Sink.fold", element) from error
            return state

        return Sink(consume)

    @staticmethod
    def count() -> Sink[Any, int]:
        """Count the elements."""

        async def consume(source: Elements[Any], run: Run) -> int:
            count = 0
            async for _ in source:
                count += 1
            return count

        return Sink(consume)

    @staticmethod
    def ignore() -> Sink[Any, None]:
        """Let elements pass, and keep nothing."""

        async def consume(source: Elements[Any], run: Run) -> None:
            async for _ in source:
                pass

        return Sink(consume)

    @staticmethod
    def first() -> Sink[T, T | None]:
        """Take the first element, or None, and end the stream."""

        async def consume(source: Elements[T], run: Run) -> T | None:
            return await anext(source, None)

        return Sink(consume)

    @staticmethod
    def foreach(function: Callable[[T], Any]) -> Sink[T, int]:
        """Call a function, asynchronous or not, with each element; gives their number.

        A function that blocks belongs into `map_async` before the sink.
        """

        async def consume(source: Elements[T], run: Run) -> int:
            count = 0
            async for element in source:
                try:
                    result = function(element)
                    if inspect.isawaitable(result):
                        await result
                except Exception as error:
                    raise _failed(error, function, "Sink.foreach", element) from error
                count += 1
            return count

        return Sink(consume)

    @staticmethod
    def queue(target: Any, end: object = None) -> Sink[Any, int]:
        """Put elements into a queue of asyncio, of threads or of processes, then `end`; gives the elements' number.

        A full queue holds the stream back. `end` is put also when the stream fails, so that nobody waits for ever.
        """

        async def consume(source: Elements[Any], run: Run) -> int:
            count = 0
            try:
                async for element in source:
                    await _put(target, element)
                    count += 1
            finally:
                with anyio.CancelScope(shield=True):
                    await _put(target, end)
            return count

        return Sink(consume)

    @staticmethod
    def file(path: str | Path, *, overwrite: bool = False, encoding: str = "utf-8") -> Sink[bytes | str, int]:
        """Write bytes (or texts) to a file that appears, synced and whole, when the stream ends well.

        Of a stream that fails or is cancelled nothing is left. Gives the number of bytes. Raises OutputExistsError
        when there is such a file and not `overwrite`.

        >>> import tempfile, pathlib
        >>> from esker import Stream
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "lines.txt"
        >>> Stream(["one", "two"]).map(lambda line: line + "\\n").run(Sink.file(path))
        8
        >>> path.read_text()
        'one\\ntwo\\n'
        """
        return Sink(_FileSink(Path(path), overwrite, encoding).consume)

    @staticmethod
    def dataset(
        path: str | Path | None = None, *, schema: pa.Schema | None = None, overwrite: bool = False
    ) -> Sink[Any, Dataset]:
        """Make a Dataset of the elements: dicts (rows), record batches, tables, or dicts of columns in batches.

        With a `path` rows go to that Parquet (or CSV, Arrow) file as they come, and the Dataset reads it; without one
        they are held in memory. Without a `schema` it is that of the first rows.

        >>> from esker import Stream
        >>> rows = Stream(range(3)).map(lambda n: {"n": n, "square": n * n})
        >>> rows.run(Sink.dataset()).filter("n > 1").to_arrow().to_pylist()
        [{'n': 2, 'square': 4}]
        """
        from esker.stream.dataset_sink import consume_dataset

        async def consume(source: Elements[Any], run: Run) -> Dataset:
            return await consume_dataset(source, None if path is None else Path(path), schema, overwrite)

        return Sink(consume)

    @staticmethod
    def broadcast(*sinks: Sink[T, Any]) -> Sink[T, list[Any]]:
        """Give each element to every sink; the slowest sets the pace. Gives the list of their results.

        >>> from esker import Stream
        >>> Stream(range(5)).run(Sink.broadcast(Sink.count(), Sink.fold(0, max)))
        [5, 4]
        """
        return _fan_out(sinks, "broadcast", None)

    @staticmethod
    def balance(*sinks: Sink[T, Any]) -> Sink[T, list[Any]]:
        """Give each element to one sink that asks for one. Gives the list of their results."""
        return _fan_out(sinks, "balance", None)

    @staticmethod
    def partition(function: Callable[[T], int], *sinks: Sink[T, Any]) -> Sink[T, list[Any]]:
        """Give each element to the sink that `function` numbers. Gives the list of their results.

        >>> from esker import Stream
        >>> Stream(range(5)).run(Sink.partition(lambda n: n % 2, Sink.collect(), Sink.collect()))
        [[0, 2, 4], [1, 3]]
        """
        return _fan_out(sinks, "partition", function)


def _failed(error: Exception, function: Callable[..., Any], operator: str, element: object) -> Exception:
    return error if isinstance(error, EskerError) else failure(error, function, operator, shown(element))


async def _put(target: Any, element: object) -> None:
    if inspect.iscoroutinefunction(target.put):
        await target.put(element)
        return
    import queue

    def try_to_put() -> bool:
        try:
            target.put(element, timeout=0.05)
        except queue.Full:
            return False
        return True

    # A full queue is tried again and again, so that cancelling the stream need not wait for its reader.
    while not await anyio.to_thread.run_sync(try_to_put):
        pass


def _fan_out(sinks: Sequence[Sink[T, Any]], mode: str, choose: Callable[[T], int] | None) -> Sink[T, list[Any]]:
    async def consume(source: Elements[T], run: Run) -> list[Any]:
        fan_out = FanOut(source, Stage(run, f"Sink.{mode}"), len(sinks))
        branches = [branch.read() for branch in fan_out.branches]
        results: list[Any] = [None] * len(sinks)
        failures: list[Exception] = []
        left = len(sinks)
        done = anyio.Event()

        async def run_one(number: int) -> None:
            nonlocal left
            try:
                async with aclosing(branches[number]) as branch:
                    results[number] = await sinks[number].consume(branch, run)
            except Exception as error:  # noqa: BLE001  # raised below, once the others are ended
                failures.append(error)
                done.set()
            left -= 1
            if not left:
                done.set()

        async with Tasks(run) as tasks:
            for number in range(len(sinks)):
                tasks.start(lambda number=number: run_one(number))  # type: ignore[misc]  # a default binds it now
            tasks.start(fan_out.start(mode, choose))
            await done.wait()
        if failures:
            raise failures[0]
        return results

    return Sink(consume)


class _FileSink:
    """Writes a file aside, in a thread, in pieces that are worth handing over."""

    def __init__(self, path: Path, overwrite: bool, encoding: str) -> None:
        self._path = path
        self._overwrite = overwrite
        self._encoding = encoding

    async def consume(self, source: Elements[bytes | str], run: Run) -> int:
        from esker.core.file_system import LOCAL
        from esker.formats.format import writing

        written = 0
        with writing(self._path), anyio.CancelScope(shield=True):  # or nobody would close what the thread opened
            aside: AbstractContextManager[Any] = LOCAL.write_aside(self._path, overwrite=self._overwrite)
            file = await anyio.to_thread.run_sync(aside.__enter__)
        try:
            pieces: list[bytes] = []
            held = 0
            async for element in source:
                data = self._bytes(element)
                pieces.append(data)
                held += len(data)
                if held >= WRITE_BYTES:
                    del element, data
                    written += held
                    await self._write(file, pieces)
                    held = 0
            written += held
            await self._write(file, pieces)
        except BaseException as error:
            # Removes the file and raises the error again.
            aside.__exit__(type(error), error, error.__traceback__)
            raise
        with writing(self._path), anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(aside.__exit__, None, None, None)
        return written

    async def _write(self, file: Any, pieces: list[bytes]) -> None:
        from esker.formats.format import writing

        with writing(self._path):
            await anyio.to_thread.run_sync(file.writelines, pieces)
        pieces.clear()

    def _bytes(self, element: object) -> bytes:
        if isinstance(element, bytes):
            return element
        if isinstance(element, str):
            return element.encode(self._encoding)
        if isinstance(element, bytearray | memoryview):
            return bytes(element)
        raise InputError(
            f"Sink.file({str(self._path)!r}) writes bytes or texts, not"
            f" {type(element).__name__}; map elements to bytes before"
        )
