"""Concurrent calls keep their number, their order, and what they hold within bounds."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker import Backoff, Sink, Stream
from esker.errors import UserFunctionError
from esker.testing.virtual_time import run_in_virtual_time

SECONDS = st.lists(st.integers(0, 9), max_size=20)


@given(SECONDS, st.integers(1, 6))
def test_ordered_results_come_in_the_order_of_the_elements(waits: list[int], workers: int) -> None:
    async def wait(element: tuple[int, int]) -> int:
        await anyio.sleep(element[1])
        return element[0]

    stream = Stream(list(enumerate(waits))).map_async(wait, workers=workers)
    assert run_in_virtual_time(lambda: stream.run_async(Sink.collect())) == list(range(len(waits)))


@given(SECONDS, st.integers(1, 6))
def test_unordered_results_come_as_they_are_done_and_all_come(waits: list[int], workers: int) -> None:
    done: list[int] = []

    async def wait(element: tuple[int, int]) -> int:
        await anyio.sleep(element[1])
        done.append(element[0])
        return element[0]

    stream = Stream(list(enumerate(waits))).map_async(wait, workers=workers, ordered=False)
    assert run_in_virtual_time(lambda: stream.run_async(Sink.collect())) == done
    assert sorted(done) == list(range(len(waits)))


@pytest.mark.parametrize("ordered", [True, False])
def test_no_more_elements_are_held_than_there_are_workers(ordered: bool) -> None:
    read = taken = running = 0
    most_running = 0

    def elements() -> Iterator[int]:
        nonlocal read
        for number in range(40):
            read += 1
            yield number

    async def call(number: int) -> int:
        nonlocal running, most_running
        running += 1
        most_running = max(most_running, running)
        await anyio.sleep(1 + number % 3)
        running -= 1
        return number

    async def slow(number: int) -> None:
        nonlocal taken
        await anyio.sleep(5)
        # One that the sink holds, and three that are called, or were and wait to be taken.
        assert read <= taken + 1 + 3
        taken += 1

    stream = Stream(elements()).map_async(call, workers=3, ordered=ordered)
    assert run_in_virtual_time(lambda: stream.run_async(Sink.foreach(slow))) == 40
    assert most_running == 3


def test_functions_that_block_run_in_threads_as_many_as_there_are_workers() -> None:
    together = threading.Barrier(3, timeout=60)
    names = Stream(range(6)).map_async(lambda n: (together.wait(), threading.get_ident())[1], workers=3).collect()
    assert len(set(names)) == 3
    assert threading.get_ident() not in names


def test_a_failure_comes_where_its_result_would_have_come() -> None:
    async def call(number: int) -> int:
        await anyio.sleep(10 - number)
        return 1 // (3 - number)

    seen: list[int] = []
    stream = Stream(range(10)).map_async(call, workers=4).foreach(seen.append)
    with pytest.raises(UserFunctionError, match="called by map_async on element 3"):
        run_in_virtual_time(lambda: stream.run_async(Sink.ignore()))
    assert seen == [0, 0, 1]


def test_a_failure_ends_the_calls_that_are_running() -> None:
    ended: list[int] = []

    async def call(number: int) -> int:
        try:
            await anyio.sleep(1 if number == 0 else 1000)
        finally:
            ended.append(number)
        return 1 // number

    stream = Stream(range(3)).map_async(call, workers=3)
    with pytest.raises(UserFunctionError):
        run_in_virtual_time(lambda: stream.run_async(Sink.ignore()))
    assert sorted(ended) == [0, 1, 2]


def test_what_the_source_raises_comes_after_what_came_before_it() -> None:
    def elements() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("no more")

    seen: list[int] = []
    with pytest.raises(UserFunctionError, match="no more"):
        Stream(elements()).map_async(abs, workers=2).foreach(seen.append).run(Sink.ignore())
    assert seen == [1, 2]


def test_a_failing_call_is_tried_again_after_waits_that_grow() -> None:
    moments: list[float] = []

    async def flaky(number: int) -> int:
        moments.append(anyio.current_time())
        if len(moments) < 4:
            raise OSError("try again")
        return number

    backoff = Backoff(attempts=4, first_seconds=1, factor=2, on=OSError)
    stream = Stream([7]).map_async(flaky, retry=backoff)
    assert run_in_virtual_time(lambda: stream.run_async(Sink.collect())) == [7]
    assert moments == [0, 1, 3, 7]


def test_a_call_that_fails_too_often_or_otherwise_is_not_tried_again() -> None:
    calls = itertools.count()

    async def failing(number: int) -> int:
        next(calls)
        raise OSError("no") if number else KeyError("no")

    def run(element: int) -> None:
        stream = Stream([element]).map_async(failing, retry=Backoff(attempts=3, on=OSError))
        run_in_virtual_time(lambda: stream.run_async(Sink.ignore()))

    with pytest.raises(UserFunctionError, match="OSError"):
        run(1)
    assert next(calls) == 3
    with pytest.raises(UserFunctionError, match="KeyError"):
        run(0)
    assert next(calls) == 5
