"""Steps that look at the time of the event loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from enum import Enum
from typing import TypeVar

import anyio

from esker.errors import RateExceededError, StreamTimeoutError
from esker.stream.feed import END, End, Feed
from esker.stream.run import Elements, Stage

T = TypeVar("T")


async def group_within(source: Elements[T], stage: Stage, count: int, seconds: float) -> Elements[list[T]]:
    """Give lists of up to `count` elements, each at most `seconds` after its first one came."""
    async with Feed(stage.run, source) as feed:
        while (first := await feed.take()) is not END:
            gathered = [first]
            deadline = anyio.current_time() + seconds
            while len(gathered) < count:
                with anyio.move_on_at(deadline):
                    while not feed.ready:
                        await feed.arrived.wait()
                if not feed.elements:
                    break  # too late, or there is nothing more
                gathered.append(feed.elements.popleft())
                feed.taken.set()
            yield gathered


async def throttle(
    source: Elements[T],
    stage: Stage,
    cost_max: float,
    seconds: float,
    burst: float,
    cost: Callable[[T], float] | None,
    enforce: bool,
) -> Elements[T]:
    """Let elements of `cost_max` pass in `seconds`: a bucket of `burst` tokens that fills up evenly."""
    rate = cost_max / seconds
    tokens, then = burst, anyio.current_time()
    async with aclosing(source):
        async for element in source:
            try:
                price = 1.0 if cost is None else cost(element)
            except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                assert cost is not None, "one is no function"
                stage.failed(error, cost, element)
                continue
            now = anyio.current_time()
            tokens, then = min(burst, tokens + (now - then) * rate) - price, now
            if tokens < 0:
                if enforce:
                    raise RateExceededError(
                        f"{stage.operator}: more than {cost_max:,g} came in {seconds:,g} s; raise burst= or use"
                        " mode='shape'"
                    )
                # What is owed is paid by waiting; elements dearer than the bucket pass, later.
                await anyio.sleep(-tokens / rate)
            yield element


async def timeout(source: Elements[T], stage: Stage, seconds: float, whole: bool) -> Elements[T]:
    """Fail when the next element (or the end, when `whole`) does not come within `seconds` of being asked for."""
    end = anyio.current_time() + seconds
    async with aclosing(source):
        while True:
            came = await next_until(source, end if whole else anyio.current_time() + seconds)
            if came is END:
                return
            if came is LATE:
                what = "the stream did not end" if whole else "no element came"
                raise StreamTimeoutError(f"{stage.operator}: {what} within {seconds:,g} s")
            yield came


class Late(Enum):
    """What comes when it is too late for an element."""

    LATE = "late"


LATE = Late.LATE


async def next_until(source: Elements[T], deadline: float) -> T | End | Late:
    """Ask for the next element; when it does not come in time the source is ended with the wait."""
    with anyio.move_on_at(deadline):
        try:
            return await anext(source)
        except StopAsyncIteration:
            return END
    return LATE


async def delay(source: Elements[T], stage: Stage, seconds: float) -> Elements[T]:
    """Wait before each element is given."""
    async with aclosing(source):
        async for element in source:
            await anyio.sleep(seconds)
            yield element


async def take_within(source: Elements[T], stage: Stage, seconds: float) -> Elements[T]:
    """Give what comes within `seconds`, then end."""
    end = anyio.current_time() + seconds
    async with aclosing(source):
        while True:
            came = await next_until(source, end)
            if came is END or came is LATE:
                return
            yield came
