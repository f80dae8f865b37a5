"""Going on after failures: another element, another stream, or the same one again after a while."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio

from esker.core.seeded import generator
from esker.errors import OptionError, UserFunctionError
from esker.stream.run import Elements, Stage
from esker.stream.supervisor import called

T = TypeVar("T")
U = TypeVar("U")

Kinds = type[Exception] | tuple[type[Exception], ...]


def original(error: Exception) -> Exception:
    """What the user's function raised, where it did; else the error itself."""
    cause = error.__cause__
    return cause if isinstance(error, UserFunctionError) and isinstance(cause, Exception) else error


@dataclass(frozen=True)
class Backoff:
    """How often and when to try again: waits grow by `factor` from `first_seconds` to at most `seconds_max`.

    `jitter` shortens each wait at random by up to that share, from `seed`. Only failures of the kinds `on` are tried
    again.

    >>> list(Backoff(attempts=5, first_seconds=1, factor=3, seconds_max=10).waits())
    [1, 3, 9, 10]
    """

    attempts: int = 3
    first_seconds: float = 0.1
    factor: float = 2.0
    seconds_max: float = 30.0
    jitter: float = 0.0
    on: Kinds = Exception
    seed: int = 0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise OptionError(f"attempts={self.attempts} is too few; the first attempt is one")
        if self.first_seconds < 0 or self.factor < 1 or self.seconds_max < 0 or not 0 <= self.jitter <= 1:
            raise OptionError(f"{self} cannot be waited for: seconds from 0, factor from 1, jitter from 0 to 1")

    def waits(self) -> Iterator[float]:
        """The seconds before each further attempt."""
        chance = generator(self.seed) if self.jitter else None
        wait = self.first_seconds
        for _ in range(self.attempts - 1):
            bounded = min(wait, self.seconds_max)
            yield bounded if chance is None else bounded * (1 - self.jitter * float(chance.random()))
            wait *= self.factor

    def wrap(self, call: Callable[[T], Awaitable[U]]) -> Callable[[T], Awaitable[U]]:
        """Make an asynchronous function one that is tried again."""

        async def trying(element: T) -> U:
            for wait in self.waits():
                try:
                    return await call(element)
                except self.on:
                    await anyio.sleep(wait)
            return await call(element)

        return trying


async def recover(
    source: Elements[T], stage: Stage, function: Callable[[Exception], T | AsyncIterable[T]], on: Kinds
) -> Elements[T]:
    """Give what `function` makes of a failure, an element or a stream, in place of the failure."""
    try:
        async with aclosing(source):
            async for element in source:
                yield element
        return
    except Exception as error:  # raised again unless it is to be recovered from
        cause = original(error)
        if not isinstance(cause, on):
            raise
        instead = called(function, stage.operator, f"a failure: {cause!r}", cause)
    if not isinstance(instead, AsyncIterable):
        yield instead
        return
    async with aclosing(_open(instead, stage)) as elements:
        async for element in elements:
            yield element


def _open(stream: Any, stage: Stage) -> Elements[Any]:
    from esker.stream.stream import Stream

    return (stream if isinstance(stream, Stream) else Stream(stream))._open(stage.run)


async def retry(open_again: Callable[[Stage], Elements[T]], stage: Stage, backoff: Backoff) -> Elements[T]:
    """Open the elements again after a failure, from their beginning."""
    waits = backoff.waits()
    while True:
        try:
            async with aclosing(open_again(stage)) as source:
                async for element in source:
                    yield element
            return
        except Exception as error:  # raised again unless it is to be tried again
            if not isinstance(original(error), backoff.on):
                raise
            wait = next(waits, None)
            if wait is None:
                raise
        await anyio.sleep(wait)
