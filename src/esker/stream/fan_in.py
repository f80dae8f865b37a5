"""Several streams into one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, TypeVar

from esker.errors import StreamError
from esker.stream.feed import END, Feed, Signal
from esker.stream.run import Elements, Run

T = TypeVar("T")


async def merge(run: Run, sources: Sequence[Elements[T]]) -> Elements[T]:
    """Give elements as they come; sources that have some at the same time take turns."""
    arrived = Signal()
    async with AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(Feed(run, source, arrived=arrived)) for source in sources]
        turn = 0
        while feeds:
            ready = next((n for n in range(len(feeds)) if feeds[(turn + n) % len(feeds)].ready), None)
            if ready is None:
                await arrived.wait()
                continue
            turn = (turn + ready) % len(feeds)
            element = feeds[turn].take_now()
            if element is END:
                feeds.pop(turn)
            else:
                turn += 1
                yield element


async def concat(sources: Sequence[Elements[T]]) -> Elements[T]:
    """Give all elements of the first, then those of the second, and so on."""
    async with AsyncExitStack() as stack:
        for source in reversed(sources):
            await stack.enter_async_context(aclosing(source))
        for source in sources:
            async for element in source:
                yield element


async def zip_elements(
    run: Run, sources: Sequence[Elements[Any]], strict: bool, operator: str
) -> Elements[tuple[Any, ...]]:
    """Give tuples of one element of each, until one ends; they are asked at the same time."""
    async with AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(Feed(run, source)) for source in sources]
        while True:
            elements = [await feed.take() for feed in feeds]
            ended = [number for number, element in enumerate(elements) if element is END]
            if not ended:
                yield tuple(elements)
                continue
            if strict and len(ended) < len(elements):
                raise StreamError(
                    f"{operator}: stream {ended[0]} ended before the others; without strict=True this is the end"
                )
            return
