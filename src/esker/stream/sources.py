"""Where elements come from. A source reads only when it is asked for the next element."""

from __future__ import annotations

import os
import queue
import stat
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import ByteStream

from esker.engine.user_function import failure
from esker.errors import EskerError, InputError, InputFileError
from esker.stream.run import Elements

T = TypeVar("T")

# A loop over elements that never wait must let cancellation and the other tasks through now and then.
ELEMENTS_BETWEEN_CHECKPOINTS = 256
# A thread that waits at a queue looks up this often whether its stream was cancelled.
QUEUE_LOOK_SECONDS = 0.05
SOCKET_BYTES = 64 << 10
# What is copied from memory without a thread holds the event loop up for less than a millisecond.
COPIED_BYTES_MAX = 1 << 20
COPIES_BETWEEN_CHECKPOINTS = 8
_NOTHING: Any = object()


def _next(iterator: Iterator[T], name: str, number: int) -> T:
    try:
        return next(iterator, _NOTHING)
    except EskerError:
        raise
    except Exception as error:
        raise failure(error, iterator.__next__, "source", f"element {number} of {name}") from error


async def iterate(iterable: Iterable[T]) -> Elements[T]:
    """Give the elements of an iterable; its generator is closed at the end."""
    iterator, name = iter(iterable), type(iterable).__name__
    number = 0
    try:
        while (element := _next(iterator, name, number)) is not _NOTHING:
            yield element
            number += 1
            if not number % ELEMENTS_BETWEEN_CHECKPOINTS:
                await anyio.lowlevel.checkpoint()
    finally:
        _close(iterator)


async def iterate_in_thread(iterable: Iterable[T]) -> Elements[T]:
    """Give the elements of an iterable that blocks: each is fetched by a thread."""
    one_at_a_time = anyio.CapacityLimiter(1)
    iterator, name = await anyio.to_thread.run_sync(iter, iterable, limiter=one_at_a_time), type(iterable).__name__
    number = 0
    try:
        while (
            element := await anyio.to_thread.run_sync(_next, iterator, name, number, limiter=one_at_a_time)
        ) is not _NOTHING:
            yield element
            number += 1
    finally:
        _close(iterator)


def _close(iterator: Iterator[Any]) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        close()


async def iterate_async(iterable: AsyncIterable[T]) -> Elements[T]:
    """Give the elements of an asynchronous iterable; its generator is closed at the end."""
    iterator, name = aiter(iterable), type(iterable).__name__
    number = 0
    try:
        while True:
            try:
                element = await anext(iterator)
            except (StopAsyncIteration, EskerError) as error:
                if isinstance(error, StopAsyncIteration):
                    return
                raise
            except Exception as error:
                raise failure(error, iterator.__anext__, "source", f"element {number} of {name}") from error
            yield element
            number += 1
    finally:
        if isinstance(iterator, AsyncGenerator):
            with anyio.CancelScope(shield=True):
                await iterator.aclose()


class _OpenFile:
    """A regular file that is read from the front; one position, so nothing is skipped or read twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputFileError(f"cannot read {path}: {error.strerror}") from error
        if stat.S_ISDIR(os.fstat(self.descriptor).st_mode):
            os.close(self.descriptor)
            raise InputFileError(f"cannot read {path}: it is a folder")
        self._probe = bytearray(1)
        self._tells = True

    def is_at_hand(self, bytes_max: int) -> bool:
        """Say whether the next bytes lie in memory, by their first and last: then reading them is but a copy."""
        if not self._tells:
            return False
        begin = os.lseek(self.descriptor, 0, os.SEEK_CUR)
        end = min(begin + bytes_max, os.fstat(self.descriptor).st_size)
        try:
            for place in (begin, end - 1) if begin < end else ():
                os.preadv(self.descriptor, [self._probe], place, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            self._tells = False  # not every file system does
            return False
        return True

    def read(self, bytes_max: int) -> bytes:
        try:
            return os.read(self.descriptor, bytes_max)
        except OSError as error:
            raise InputFileError(f"cannot read {self.path}: {error.strerror}") from error

    def close(self) -> None:
        os.close(self.descriptor)


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[_OpenFile]:
    with anyio.CancelScope(shield=True):  # or nobody would close what the thread opened
        file = await anyio.to_thread.run_sync(_OpenFile, path)
    try:
        yield file
    finally:
        file.close()


async def read_file(path: Path, chunk_bytes: int) -> Elements[bytes]:
    """Give a file in chunks; each is read when it is asked for, by a thread unless it lies in memory already."""
    async with _opened(path) as file:
        copied = 0
        # A thread costs some tens of microseconds a chunk, as much as copying a quarter of a MiB.
        while True:
            if chunk_bytes <= COPIED_BYTES_MAX and file.is_at_hand(chunk_bytes):
                chunk = file.read(chunk_bytes)
                copied += 1
                if not copied % COPIES_BETWEEN_CHECKPOINTS:
                    await anyio.lowlevel.checkpoint()
            else:
                chunk = await anyio.to_thread.run_sync(file.read, chunk_bytes)
            if not chunk:
                return
            yield chunk
            del chunk  # the taker holds it; two at a time would be more than was asked for


async def tail_file(path: Path, chunk_bytes: int, poll_seconds: float, from_start: bool) -> Elements[bytes]:
    """Give what is appended to a file, for ever; one that was replaced or cut is read from its beginning."""
    skip = not from_start
    while True:
        async with _opened(path) as file:
            if skip:
                os.lseek(file.descriptor, 0, os.SEEK_END)
                skip = False
            while True:
                if chunk := await anyio.to_thread.run_sync(file.read, chunk_bytes):
                    yield chunk
                    continue
                await anyio.sleep(poll_seconds)
                if _was_cut(file):
                    os.lseek(file.descriptor, 0, os.SEEK_SET)
                elif _was_replaced(file) and not _has_more(file):
                    break


def _was_cut(file: _OpenFile) -> bool:
    return os.fstat(file.descriptor).st_size < os.lseek(file.descriptor, 0, os.SEEK_CUR)


def _has_more(file: _OpenFile) -> bool:
    return os.fstat(file.descriptor).st_size > os.lseek(file.descriptor, 0, os.SEEK_CUR)


def _was_replaced(file: _OpenFile) -> bool:
    """Say whether another file has the name now; while none has, the old one is followed."""
    with suppress(FileNotFoundError):
        return not os.path.samestat(file.path.stat(), os.fstat(file.descriptor))
    return False


async def read_socket(connect: Callable[[], Any], name: str, bytes_max: int) -> Elements[bytes]:
    """Give what arrives at a connection, until the other side ends it."""
    try:
        connection: ByteStream = await connect()
    except OSError as error:
        raise InputError(f"cannot connect to {name}: {error}") from error
    try:
        while True:
            try:
                chunk = await connection.receive(bytes_max)
            except anyio.EndOfStream:
                return
            except (OSError, anyio.BrokenResourceError) as error:
                raise InputError(f"the connection to {name} broke: {error.__cause__ or error}") from error
            yield chunk
    finally:
        # Closed at once: waiting for the other side could take as long as it likes.
        await anyio.aclose_forcefully(connection)


async def read_queue(source: Any, end: object) -> Elements[Any]:
    """Give what is put into a queue: of asyncio, of threads or of processes; `end` ends the stream."""
    get = _get_async(source) if _is_async_queue(source) else _get_in_thread(source)
    while (element := await get()) is not _NOTHING and element is not end:
        yield element


def _is_async_queue(source: Any) -> bool:
    import inspect

    return inspect.iscoroutinefunction(source.get)


def _get_async(source: Any) -> Callable[[], Any]:
    async def get() -> Any:
        try:
            return await source.get()
        except Exception as error:
            # asyncio.QueueShutDown, from Python 3.13 on
            if type(error).__name__ == "QueueShutDown":
                return _NOTHING
            raise

    return get


def _get_in_thread(source: Any) -> Callable[[], Any]:
    def look() -> Any:
        try:
            return source.get(timeout=QUEUE_LOOK_SECONDS)
        except queue.Empty:
            return _NOTHING
        except Exception as error:
            if type(error).__name__ == "ShutDown":  # queue.ShutDown, from Python 3.13 on
                return _SHUT_DOWN
            raise

    async def get() -> Any:
        while (element := await anyio.to_thread.run_sync(look)) is _NOTHING:
            pass
        return _NOTHING if element is _SHUT_DOWN else element

    return get


_SHUT_DOWN: Any = object()


async def ticks(seconds: float, count: int | None) -> Elements[int]:
    """Give 0, 1, 2, ... every so many seconds, the first at once; those that nobody asked for in time are left out."""
    begin = anyio.current_time()
    number = 0
    while count is None or number < count:
        wait = begin + number * seconds - anyio.current_time()
        if wait > 0:
            await anyio.sleep(wait)
        else:
            await anyio.lowlevel.checkpoint()
        yield number
        number = max(number + 1, int((anyio.current_time() - begin) / seconds))
