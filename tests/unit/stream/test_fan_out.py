"""One stream into branches: every element where it belongs, and nobody ahead of demand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker import Sink, Stream
from esker.errors import OptionError, UserFunctionError
from esker.testing.virtual_time import run_in_virtual_time

NUMBERS = st.lists(st.integers(0, 99), max_size=20)


@given(NUMBERS, st.integers(1, 4))
def test_broadcast_gives_each_element_to_every_branch_in_order(numbers: list[int], count: int) -> None:
    assert Stream(numbers).run(Sink.broadcast(*[Sink.collect()] * count)) == [numbers] * count
    flows = [lambda stream, n=n: stream.map(lambda number: (n, number)) for n in range(count)]
    came = Stream(numbers).broadcast(*flows).collect()
    for branch in range(count):
        assert [number for which, number in came if which == branch] == numbers


@given(NUMBERS, st.integers(1, 4))
def test_balance_gives_each_element_to_one_branch(numbers: list[int], count: int) -> None:
    parts = Stream(numbers).run(Sink.balance(*[Sink.collect()] * count))
    assert sorted(n for part in parts for n in part) == sorted(numbers)


@given(NUMBERS, st.integers(1, 4))
def test_partition_gives_each_element_to_the_branch_of_its_number(numbers: list[int], count: int) -> None:
    parts = Stream(numbers).run(Sink.partition(lambda n: n % count, *[Sink.collect()] * count))
    assert parts == [[n for n in numbers if n % count == branch] for branch in range(count)]
    came = Stream(numbers).partition(lambda n: n % count, *[lambda stream: stream] * count).collect()
    assert sorted(came) == sorted(numbers)


def slow(seconds: float, taken: list[int]) -> Sink[int, int]:
    async def take(number: int) -> None:
        await anyio.sleep(seconds)
        taken.append(number)

    return Sink.foreach(take)


def counted(read: list[int], count: int) -> Iterator[int]:
    for number in range(count):
        read.append(number)
        yield number


def test_the_slowest_branch_of_a_broadcast_sets_the_pace() -> None:
    read: list[int] = []
    quick: list[int] = []
    late: list[int] = []

    async def main() -> None:
        async def look(number: int) -> None:
            await anyio.sleep(10)
            late.append(number)
            assert len(read) <= len(late) + 1
            assert len(quick) <= len(late) + 1

        await Stream(counted(read, 8)).run_async(Sink.broadcast(slow(1, quick), Sink.foreach(look)))

    run_in_virtual_time(main)
    assert quick == late == list(range(8))


def test_a_quick_branch_of_a_balance_takes_more() -> None:
    quick: list[int] = []
    late: list[int] = []
    sink = Sink.balance(slow(1, quick), slow(10, late))
    assert run_in_virtual_time(lambda: Stream(range(22)).run_async(sink)) == [20, 2]
    assert len(quick) == 20


def test_a_branch_that_leaves_lets_the_others_go_on() -> None:
    assert Stream(range(5)).run(Sink.broadcast(Sink.first(), Sink.count())) == [0, 5]
    first = Sink.first()
    results = Stream(range(5)).run(Sink.partition(lambda n: n % 2, first, Sink.collect()))
    assert results == [0, [1, 3]]


def test_nothing_is_read_once_all_branches_have_left() -> None:
    read: list[int] = []
    assert Stream(counted(read, 1000)).run(Sink.broadcast(Sink.first(), Sink.first())) == [0, 0]
    assert read == [0]


@pytest.mark.parametrize("mode", ["broadcast", "balance"])
def test_a_failing_sink_ends_the_others(mode: str) -> None:
    def fail(number: int) -> None:
        raise ValueError("broken")

    with pytest.raises(UserFunctionError, match="broken"):
        Stream(range(10)).run(getattr(Sink, mode)(Sink.foreach(fail), Sink.foreach(fail)))


def test_a_failing_source_fails_every_branch() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    seen: list[Any] = []
    kept = [lambda stream: stream.recover(lambda error: str(error))] * 2
    assert Stream(failing()).broadcast(*kept).foreach(seen.append).collect() == [1, 1, "broken", "broken"]


def test_a_number_that_is_no_branch_is_named() -> None:
    with pytest.raises(OptionError, match="chose branch 2 of 2"):
        Stream([2]).run(Sink.partition(lambda n: n, Sink.count(), Sink.count()))
    with pytest.raises(OptionError, match="at least one branch"):
        Stream([2]).run(Sink.balance())


def test_branches_may_buffer_and_call_concurrently() -> None:
    async def work(number: int) -> int:
        await anyio.sleep(1)
        return number

    flows = [lambda stream: stream.map_async(work, workers=2).buffer(2)] * 3
    came = run_in_virtual_time(lambda: Stream(range(50)).balance(*flows).run_async(Sink.collect()))
    assert sorted(came) == list(range(50))
