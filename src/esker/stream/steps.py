"""Steps that take one element after the other and run nothing beside."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import aclosing
from copy import deepcopy
from typing import Any, TypeVar

from esker.stream.run import Elements, Stage
from esker.stream.supervisor import Decision

T = TypeVar("T")
U = TypeVar("U")


async def map_elements(source: Elements[T], stage: Stage, function: Callable[[T], U]) -> Elements[U]:
    """Give `function(element)` for each element."""
    async with aclosing(source):
        async for element in source:
            try:
                result = function(element)
            except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                stage.failed(error, function, element)
                continue
            yield result


async def filter_elements(source: Elements[T], stage: Stage, function: Callable[[T], object]) -> Elements[T]:
    """Give the elements for which `function` says yes."""
    async with aclosing(source):
        async for element in source:
            try:
                wanted = function(element)
            except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                stage.failed(error, function, element)
                continue
            if wanted:
                yield element


async def flat_map(
    source: Elements[T], stage: Stage, function: Callable[[T], Iterable[U] | AsyncIterable[U]]
) -> Elements[U]:
    """Give every element of what `function` makes of each element: an iterable, or a stream."""
    async with aclosing(source):
        async for element in source:
            try:
                inner = function(element)
                results = inner if isinstance(inner, AsyncIterable) else iter(inner)
            except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                stage.failed(error, function, element)
                continue
            if isinstance(results, AsyncIterable):
                async with aclosing(_opened(results, stage)) as opened:
                    async for result in opened:
                        yield result
                continue
            while True:
                try:
                    result = next(results, _NOTHING)
                except Exception as error:  # noqa: BLE001  # a generator of the user's, as it runs
                    stage.failed(error, function, element)
                    break
                if result is _NOTHING:
                    break
                yield result


_NOTHING: Any = object()


def _opened(results: AsyncIterable[U], stage: Stage) -> Elements[U]:
    open_in = getattr(results, "_open", None)
    return open_in(stage.run) if open_in is not None else _each(results)


async def _each(results: AsyncIterable[U]) -> Elements[U]:
    async for result in results:
        yield result


async def scan(source: Elements[T], stage: Stage, zero: U, function: Callable[[U, T], U]) -> Elements[U]:
    """Give the running fold after each element."""
    state = deepcopy(zero)
    async with aclosing(source):
        async for element in source:
            try:
                state = function(state, element)
            except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                if stage.failed(error, function, element) is Decision.RESTART:
                    state = deepcopy(zero)
                continue
            yield state


async def take_while(
    source: Elements[T], stage: Stage, function: Callable[[T], object], inclusive: bool
) -> Elements[T]:
    """Give elements until `function` says no; that one too, when `inclusive`."""
    async with aclosing(source):
        async for element in source:
            try:
                wanted = function(element)
            except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                stage.failed(error, function, element)
                continue
            if not wanted:
                if inclusive:
                    yield element
                return
            yield element


async def drop_while(source: Elements[T], stage: Stage, function: Callable[[T], object]) -> Elements[T]:
    """Leave elements out until `function` says no."""
    dropping = True
    async with aclosing(source):
        async for element in source:
            if dropping:
                try:
                    dropping = bool(function(element))
                except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                    stage.failed(error, function, element)
                    continue
            if not dropping:
                yield element


async def take(source: Elements[T], stage: Stage, count: int) -> Elements[T]:
    """Give the first `count` elements, and ask for no more."""
    async with aclosing(source):
        left = count
        while left:
            try:
                element = await anext(source)
            except StopAsyncIteration:
                return
            left -= 1
            yield element


async def drop(source: Elements[T], stage: Stage, count: int) -> Elements[T]:
    """Leave the first `count` elements out."""
    left = count
    async with aclosing(source):
        async for element in source:
            if left:
                left -= 1
            else:
                yield element


async def group(source: Elements[T], stage: Stage, count: int) -> Elements[list[T]]:
    """Give lists of `count` elements; the last one may be shorter."""
    gathered: list[T] = []
    async with aclosing(source):
        async for element in source:
            gathered.append(element)
            if len(gathered) == count:
                yield gathered
                gathered = []
    if gathered:
        yield gathered


async def sliding(source: Elements[T], stage: Stage, count: int, step: int) -> Elements[tuple[T, ...]]:
    """Give windows of `count` elements, each beginning `step` after the one before; the last may be shorter."""
    window: deque[T] = deque()
    left_out, given = 0, True
    async with aclosing(source):
        async for element in source:
            if left_out:
                left_out -= 1
                continue
            window.append(element)
            given = len(window) == count
            if given:
                yield tuple(window)
                left_out = max(step - count, 0)
                for _ in range(min(step, count)):
                    window.popleft()
    if not given:
        yield tuple(window)


async def enumerate_elements(source: Elements[T], stage: Stage, start: int) -> Elements[tuple[int, T]]:
    """Give each element with its number."""
    number = start
    async with aclosing(source):
        async for element in source:
            yield number, element
            number += 1


async def distinct_until_changed(source: Elements[T], stage: Stage, key: Callable[[T], Any] | None) -> Elements[T]:
    """Leave out elements that are equal to the one before, or whose key is."""
    last: object = _NOTHING
    async with aclosing(source):
        async for element in source:
            try:
                now = element if key is None else key(element)
            except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                assert key is not None, "comparing raised, not a key"
                if stage.failed(error, key, element) is Decision.RESTART:
                    last = _NOTHING
                continue
            if last is _NOTHING or now != last:
                last = now
                yield element


async def foreach(source: Elements[T], stage: Stage, function: Callable[[T], object]) -> Elements[T]:
    """Call `function` with each element on its way."""
    async with aclosing(source):
        async for element in source:
            try:
                function(element)
            except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                stage.failed(error, function, element)
                continue
            yield element


async def split_lines(source: Elements[bytes], stage: Stage, encoding: str, line_bytes_max: int) -> Elements[str]:
    """Cut bytes into lines and decode them; line ends are left out."""
    from esker.errors import InputError

    def decoded(line: bytes) -> str:
        try:
            return line.removesuffix(b"\r").decode(encoding)
        except UnicodeDecodeError as error:
            raise InputError(f"{stage.operator}: line {number} is no {encoding}: {error}; pass encoding=") from error

    rest: list[bytes] = []
    held, number = 0, 1
    async with aclosing(source):
        async for chunk in source:
            lines = chunk.split(b"\n")
            if len(lines) > 1:
                lines[0] = b"".join([*rest, lines[0]])
                rest, held = [], 0
                for line in lines[:-1]:
                    yield decoded(line)
                    number += 1
            rest.append(lines[-1])
            held += len(lines[-1])
            if held > line_bytes_max:
                raise InputError(
                    f"{stage.operator}: line {number} is longer than line_bytes_max={line_bytes_max:,};"
                    " raise it, or read chunks"
                )
    if held:
        yield decoded(b"".join(rest))
