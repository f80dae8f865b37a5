"""Buffers hold what they may, in order, and drop what their strategy says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from esker import Sink, Stream
from esker.errors import BufferOverflowError, InputError
from esker.testing.virtual_time import run_in_virtual_time


async def every_second(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await anyio.sleep(1)
        yield number


def take_slowly(stream: Stream[Any], seconds: float) -> list[Any]:
    taken: list[Any] = []

    async def slow(element: Any) -> None:
        taken.append(element)
        await anyio.sleep(seconds)

    run_in_virtual_time(lambda: stream.run_async(Sink.foreach(slow)))
    return taken


# Element n comes at n + 1 seconds; one is taken at 1, 5.5 and 10 seconds, the others once the source has ended.
@pytest.mark.parametrize(
    ("overflow", "taken", "dropped"),
    [
        ("drop_head", [0, 3, 7, 8, 9], [1, 2, 4, 5, 6]),
        ("drop_tail", [0, 1, 4, 8, 9], [2, 3, 5, 6, 7]),
        ("drop_new", [0, 1, 2, 5, 9], [3, 4, 6, 7, 8]),
        ("drop_buffer", [0, 3, 8, 9], [1, 2, 4, 5, 6, 7]),
    ],
)
def test_a_full_buffer_drops_what_its_strategy_says(overflow: str, taken: list[int], dropped: list[int]) -> None:
    gone: list[int] = []
    stream = Stream(every_second(10)).buffer(2, overflow, on_drop=gone.append)
    came = take_slowly(stream, 4.5)
    assert sorted(came + gone) == list(range(10))
    assert came == sorted(came)
    assert (came, gone) == (taken, dropped)


def test_a_full_buffer_can_fail() -> None:
    taken: list[int] = []

    async def slow(element: int) -> None:
        taken.append(element)
        await anyio.sleep(4.5)

    stream = Stream(every_second(10)).buffer(2, "fail")
    with pytest.raises(BufferOverflowError, match="more than 2 came"):
        run_in_virtual_time(lambda: stream.run_async(Sink.foreach(slow)))
    assert taken == [0, 1, 2]


def test_back_pressure_loses_nothing_and_reads_no_further_than_the_buffer() -> None:
    read = taken = 0
    ahead: list[int] = []

    def elements() -> Iterator[int]:
        nonlocal read
        for number in range(20):
            read += 1
            yield number

    async def slow(element: int) -> None:
        nonlocal taken
        await anyio.sleep(1)
        taken += 1
        ahead.append(read - taken)

    assert run_in_virtual_time(lambda: Stream(elements()).buffer(3).run_async(Sink.foreach(slow))) == 20
    assert max(ahead) == 3
    assert taken == 20


def test_a_buffer_of_bytes_counts_bytes() -> None:
    read = taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        for number in range(1, 30):
            read += number
            yield bytes(number)

    async def slow(chunk: bytes) -> None:
        nonlocal taken
        await anyio.sleep(1)
        taken += len(chunk)
        assert read - taken <= 100 + 29  # full at 100 bytes, the one that made it full comes in whole

    assert run_in_virtual_time(lambda: Stream(chunks()).buffer("100B").run_async(Sink.foreach(slow))) == 29
    with pytest.raises(InputError, match="type int has no bytes to count"):
        Stream([1]).buffer("1KiB").collect()


def test_what_a_buffer_holds_is_given_before_the_failure_that_came_after_it() -> None:
    def elements() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("broken")

    seen: list[int] = []
    with pytest.raises(Exception, match="broken"):
        Stream(elements()).buffer(8).foreach(seen.append).run(Sink.ignore())
    assert seen == [1, 2]


def test_a_batch_merges_what_comes_while_nobody_asks() -> None:
    came = take_slowly(Stream(every_second(7)).batch(3, lambda n: [n], lambda batch, n: [*batch, n]), 4.5)
    assert came == [[0], [1, 2, 3], [4, 5, 6]]
    came = take_slowly(Stream(every_second(7)).batch(100, lambda n: [n], lambda batch, n: [*batch, n]), 0.5)
    assert came == [[n] for n in range(7)]


def test_conflate_merges_without_a_limit() -> None:
    assert take_slowly(Stream(every_second(9)).conflate(lambda a, b: a + b), 4.5) == [0, 1 + 2 + 3 + 4, 5 + 6 + 7 + 8]
