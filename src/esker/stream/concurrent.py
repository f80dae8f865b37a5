"""Calls of a function on several elements at a time."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar, cast

import anyio
import anyio.to_thread

from esker.stream.failure import Backoff
from esker.stream.feed import Signal
from esker.stream.run import Elements, Stage, Tasks

T = TypeVar("T")
U = TypeVar("U")

_LEFT_OUT: Any = object()


@dataclass
class Outcome(Generic[U]):
    """What came of one element: a value, or the failure that ends the stream, or the end itself."""

    value: U | None = None
    failure: Exception | None = None
    last: bool = False


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether calling `function` gives something to await.

    >>> async def fetch(): ...
    >>> is_async(fetch), is_async(partial(fetch)), is_async(len)
    (True, True, False)
    """
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # an object whose call is a coroutine function


def asynchronous(
    function: Callable[[T], U | Awaitable[U]], limiter: anyio.CapacityLimiter
) -> Callable[[T], Awaitable[U]]:
    """Make a function of any kind one to await: what would block runs in a thread."""
    if is_async(function):
        return cast("Callable[[T], Awaitable[U]]", function)

    async def in_thread(element: T) -> U:
        result = await anyio.to_thread.run_sync(function, element, limiter=limiter)
        return await result if inspect.isawaitable(result) else result

    return in_thread


class _Calls(Generic[T, U]):
    """`workers` tasks, each holding one element from asking for it until its result was taken."""

    def __init__(
        self,
        source: Elements[T],
        stage: Stage,
        function: Callable[[T], U | Awaitable[U]],
        workers: int,
        ordered: bool,
        retry: Backoff | None,
    ) -> None:
        self._source = source
        self._stage = stage
        self._function = function
        call = asynchronous(function, anyio.CapacityLimiter(workers))
        self._call = call if retry is None else retry.wrap(call)
        self._ordered = ordered
        self._asking = anyio.Lock(fast_acquire=True)
        self._asked = 0  # elements asked for, so the turn of the next one
        self._given = 0  # outcomes taken, when ordered
        self._exhausted = False
        self._outcomes: dict[int, Outcome[U]] = {}
        self._arrived = Signal()
        self._taken = Signal()

    async def work(self) -> None:
        """Ask for an element, call, hand the outcome over, and so on until there is nothing left."""
        while True:
            async with self._asking:
                turn, outcome, element = await self._ask()
            if outcome is None:
                outcome = await self._outcome(element)
            del element
            last = outcome.last or outcome.failure is not None
            self._outcomes[turn] = outcome
            del outcome
            self._arrived.set()
            if last:
                return
            while turn in self._outcomes:
                await self._taken.wait()

    async def _ask(self) -> tuple[int, Outcome[U] | None, Any]:
        turn = self._asked
        self._asked += 1
        if self._exhausted:
            return turn, Outcome(last=True), None
        try:
            return turn, None, await anext(self._source)
        except StopAsyncIteration:
            self._exhausted = True
            return turn, Outcome(last=True), None
        except Exception as error:  # noqa: BLE001  # raised where the outcomes are taken
            self._exhausted = True
            return turn, Outcome(failure=error), None

    async def _outcome(self, element: T) -> Outcome[U]:
        try:
            return Outcome(await self._call(element))
        except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
            try:
                self._stage.failed(error, self._function, element)
            except Exception as failure:  # noqa: BLE001  # raised where the outcomes are taken
                self._exhausted = True
                return Outcome(failure=failure)
            return Outcome(_LEFT_OUT)

    async def results(self, workers: int) -> AsyncGenerator[U, None]:
        """Take the outcomes, in the order of the elements or in that of the answers."""
        ended = 0
        while ended < workers:
            turn = self._next()
            if turn is None:
                await self._arrived.wait()
                continue
            outcome = self._outcomes.pop(turn)
            self._given += 1
            self._taken.set()
            if outcome.failure is not None:
                raise outcome.failure
            if outcome.last:
                ended += 1
            elif outcome.value is not _LEFT_OUT:
                result = cast("U", outcome.value)
                del outcome
                yield result

    def _next(self) -> int | None:
        if self._ordered:
            return self._given if self._given in self._outcomes else None
        return next(iter(self._outcomes), None)


async def map_async(
    source: Elements[T],
    stage: Stage,
    function: Callable[[T], U | Awaitable[U]],
    workers: int,
    ordered: bool,
    retry: Backoff | None,
) -> Elements[U]:
    """Give the results of up to `workers` calls at a time."""
    async with aclosing(source), Tasks(stage.run) as tasks:
        calls = _Calls(source, stage, function, workers, ordered, retry)
        for _ in range(workers):
            tasks.start(calls.work)
        async for result in calls.results(workers):
            yield result
