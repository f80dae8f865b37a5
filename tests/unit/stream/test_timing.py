"""Steps that look at the clock, on one that jumps: every moment is exact."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from esker import Sink, Stream
from esker.errors import RateExceededError, StreamTimeoutError
from esker.testing.virtual_time import run_in_virtual_time


async def after(*waits: float) -> AsyncIterator[int]:
    """Give 0, 1, 2, ... each so many seconds after the one before was taken."""
    for number, wait in enumerate(waits):
        await anyio.sleep(wait)
        yield number


def moments(make: Callable[[], Stream[Any]]) -> list[tuple[float, Any]]:
    """When which element came."""
    came: list[tuple[float, Any]] = []

    async def note(element: Any) -> None:
        came.append((anyio.current_time(), element))

    run_in_virtual_time(lambda: make().run_async(Sink.foreach(note)))
    return came


def test_a_group_is_full_or_its_first_element_has_waited_long_enough() -> None:
    came = moments(lambda: Stream(after(1, 1, 1, 6, 1, 1)).group_within(3, 4))
    assert came == [(3, [0, 1, 2]), (11, [3, 4, 5])]
    came = moments(lambda: Stream(after(1, 3, 3, 3)).group_within(9, 4))
    assert came == [(5, [0, 1]), (10, [2, 3])]


def test_an_element_on_its_way_when_a_group_ends_is_in_the_next() -> None:
    assert moments(lambda: Stream(after(0, 10)).group_within(2, 4)) == [(4, [0]), (10, [1])]


def test_a_group_that_nobody_asked_for_is_not_begun() -> None:
    asked: list[int] = []

    async def slow(group: list[int]) -> None:
        await anyio.sleep(100)
        assert len(asked) <= 2 * (1 + group[0] // 2) + 1  # the groups given so far, and one element on its way

    stream = Stream(asked.append(n) or n for n in range(8)).group_within(2, 1)
    assert run_in_virtual_time(lambda: stream.run_async(Sink.foreach(slow))) == 4


def test_throttled_elements_come_at_an_even_rate() -> None:
    assert moments(lambda: Stream(range(4)).throttle(1, 5)) == [(0, 0), (5, 1), (10, 2), (15, 3)]


def test_a_burst_passes_at_once_and_comes_back_with_time() -> None:
    came = moments(lambda: Stream(after(0, 0, 0, 0, 20, 0, 0)).throttle(1, 5, burst=2))
    assert [when for when, _ in came] == [0, 0, 5, 10, 30, 30, 35]


def test_an_element_costs_what_the_function_says() -> None:
    came = moments(lambda: Stream([b"xx", b"xxxx", b"x"]).throttle(2, 1, burst=2, cost=len))
    assert [when for when, _ in came] == [0, 2, 2.5]


def test_a_throttle_that_enforces_fails_instead_of_waiting() -> None:
    with pytest.raises(RateExceededError, match="more than 2 came in 1 s"):
        moments(lambda: Stream(range(4)).throttle(2, 1, burst=3, mode="enforce"))
    assert len(moments(lambda: Stream(after(1, 1, 1)).throttle(1, 1, mode="enforce"))) == 3


def test_an_element_that_takes_too_long_fails_the_stream_and_closes_its_source() -> None:
    closed: list[bool] = []

    async def elements() -> AsyncIterator[int]:
        try:
            async for number in after(1, 1, 5):
                yield number
        finally:
            closed.append(True)

    with pytest.raises(StreamTimeoutError, match="no element came within 3 s") as caught:
        moments(lambda: Stream(elements()).timeout(3))
    assert caught.value.temporary
    assert closed == [True]
    with pytest.raises(StreamTimeoutError, match="did not end within 3 s"):
        moments(lambda: Stream(after(1, 1, 1, 1)).timeout(3, whole=True))
    assert len(moments(lambda: Stream(after(2, 2, 2)).timeout(3))) == 3


def test_take_within_ends_in_time() -> None:
    assert moments(lambda: Stream(after(1, 1, 5)).take_within(3)) == [(1, 0), (2, 1)]


def test_ticks_come_at_their_time_and_late_ones_are_left_out() -> None:
    assert moments(lambda: Stream.ticks(2, count=3)) == [(0, 0), (2, 1), (4, 2)]

    async def slow(number: int) -> int:
        await anyio.sleep(5 if number == 0 else 0)
        return number

    came = moments(lambda: Stream.ticks(2, count=6).map_async(slow, workers=1))
    assert came == [(5, 0), (5, 2), (6, 3), (8, 4), (10, 5)]


def test_the_loop_on_virtual_time_jumps_and_keeps_the_order_of_waits() -> None:
    async def main() -> list[tuple[float, str]]:
        seen: list[tuple[float, str]] = []

        async def wait(name: str, seconds: float) -> None:
            await anyio.sleep(seconds)
            seen.append((anyio.current_time(), name))

        async with anyio.create_task_group() as group:
            for name, seconds in (("c", 3600), ("a", 1), ("b", 1)):
                group.start_soon(wait, name, seconds)
        return seen

    result: Awaitable[Any] = run_in_virtual_time(main)
    assert result == [(1, "a"), (1, "b"), (3600, "c")]
