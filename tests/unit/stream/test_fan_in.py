"""Several streams into one: everything arrives, in turns, and all sources are closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker import Sink, Stream
from esker.errors import StreamError, UserFunctionError
from esker.testing.virtual_time import run_in_virtual_time

LISTS = st.lists(st.lists(st.integers(), max_size=8), min_size=1, max_size=4)


@given(LISTS)
def test_merge_gives_every_element_in_the_order_of_its_source(lists: list[list[int]]) -> None:
    first, *others = [Stream([(source, n) for n in numbers]) for source, numbers in enumerate(lists)]
    merged = first.merge(*others).collect()
    assert len(merged) == sum(map(len, lists))
    for source, numbers in enumerate(lists):
        assert [n for which, n in merged if which == source] == numbers


@given(LISTS)
def test_concat_and_zip_are_those_of_python(lists: list[list[int]]) -> None:
    first, *others = map(Stream, lists)
    assert first.concat(*others).collect() == [n for numbers in lists for n in numbers]
    assert first.zip(*others).collect() == list(zip(*lists, strict=False))


def test_merge_gives_what_comes_first_first() -> None:
    async def every(seconds: float, count: int) -> AsyncIterator[float]:
        for _ in range(count):
            await anyio.sleep(seconds)
            yield seconds

    stream = Stream(every(2, 3)).merge(Stream(every(5, 2)))
    assert run_in_virtual_time(lambda: stream.run_async(Sink.collect())) == [2, 2, 5, 2, 5]


def test_sources_that_always_have_some_take_turns() -> None:
    assert Stream("aaaaaa").merge(Stream("bbbbbb")).take(6).collect() in (["a", "b"] * 3, ["b", "a"] * 3)


def test_zip_asks_its_streams_at_the_same_time() -> None:
    async def later(seconds: float) -> AsyncIterator[float]:
        await anyio.sleep(seconds)
        yield seconds

    async def main() -> float:
        await Stream(later(5)).zip(Stream(later(6)), Stream(later(4))).run_async(Sink.ignore())
        return anyio.current_time()

    assert run_in_virtual_time(main) == 6


def test_a_strict_zip_wants_streams_of_one_length() -> None:
    with pytest.raises(StreamError, match="stream 1 ended before the others"):
        Stream([1, 2]).zip(Stream([1]), strict=True).collect()
    assert Stream([1]).zip(Stream([2]), strict=True).collect() == [(1, 2)]


@pytest.mark.parametrize("verb", ["merge", "zip", "concat"])
def test_all_sources_are_closed_when_one_fails(verb: str) -> None:
    closed: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append("endless")

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    first, second = (failing(), endless()) if verb == "concat" else (endless(), failing())
    with pytest.raises(UserFunctionError, match="broken"):
        getattr(Stream(first), verb)(Stream(second)).run(Sink.ignore())
    assert closed == ([] if verb == "concat" else ["endless"])  # what was never begun has nothing to close
