"""Any chain of steps gives what the same chain over a list gives, and leaves no task and no file behind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st

from esker import Sink, Stream, par
from esker.testing.virtual_time import run_in_virtual_time

Step = tuple[Callable[[Stream[int]], Stream[int]], Callable[[list[int]], list[int]]]


def same(numbers: list[int]) -> list[int]:
    return numbers


async def slow_double(number: int) -> int:
    await anyio.sleep(number % 5)
    return 2 * number


def taken_while(numbers: list[int]) -> list[int]:
    return list(itertools.takewhile(lambda n: n < 40, numbers))


SMALL = st.integers(1, 4)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.just((lambda s: s.map(lambda n: n + 1), lambda x: [n + 1 for n in x])),
    st.just((lambda s: s.filter(lambda n: n % 3), lambda x: [n for n in x if n % 3])),
    st.just((lambda s: s.flat_map(lambda n: [n, n]), lambda x: [m for n in x for m in (n, n)])),
    st.just((lambda s: s.scan(0, lambda a, n: (a + n) % 50), lambda x: list(scanned(x)))),
    st.just((lambda s: s.take_while(lambda n: n < 40), taken_while)),
    st.just((lambda s: s.distinct_until_changed(), lambda x: [n for n, _ in itertools.groupby(x)])),
    st.just((lambda s: s.throttle(2, 1), same)),
    st.just((lambda s: s.timeout(1e6), same)),
    st.just((lambda s: s.concat(Stream([7, 8])), lambda x: [*x, 7, 8])),
    st.just((lambda s: s.zip(Stream(itertools.count())).map(sum), lambda x: [n + k for k, n in enumerate(x)])),
    SMALL.map(lambda k: (lambda s: s.buffer(k), same)),
    SMALL.map(lambda k: (lambda s: s.take(9 * k), lambda x: x[: 9 * k])),
    SMALL.map(lambda k: (lambda s: s.drop(k), lambda x: x[k:])),
    SMALL.map(lambda k: (lambda s: s.map_async(slow_double, workers=k), lambda x: [2 * n for n in x])),
    SMALL.map(lambda k: (lambda s: s.group(k).map(sum), lambda x: [sum(x[n : n + k]) for n in range(0, len(x), k)])),
    SMALL.map(lambda k: (lambda s: s.group_within(k, 3).flat_map(list), same)),
    st.just((lambda s: s.partition(lambda n: 0, lambda b: b.buffer(2)), same)),
)


def scanned(numbers: list[int]) -> Any:
    total = 0
    for number in numbers:
        total = (total + number) % 50
        yield total


@given(st.lists(st.integers(0, 60), max_size=25), st.lists(STEPS, max_size=6))
def test_a_chain_of_steps_is_that_chain_over_a_list(numbers: list[int], steps: list[Step]) -> None:
    stream, expected = Stream(numbers), numbers
    for step, model in steps:
        stream, expected = step(stream), model(expected)

    async def main() -> list[int]:
        found = await stream.run_async(Sink.collect())
        assert len(asyncio.all_tasks()) == 1
        return found

    assert run_in_virtual_time(main) == expected


@given(st.lists(STEPS, max_size=5), st.integers(0, 6))
def test_a_chain_that_is_left_early_leaves_no_task(steps: list[Step], count: int) -> None:
    closed: list[bool] = []

    def endless() -> Any:
        try:
            yield from itertools.cycle(range(30))
        finally:
            closed.append(True)

    stream: Stream[int] = Stream(endless())
    for step, _ in steps:
        stream = step(stream)

    async def main() -> None:
        async with stream.open() as elements:
            for _ in range(count):
                await anext(elements, None)
        assert len(asyncio.all_tasks()) == 1

    run_in_virtual_time(main)
    assert closed == [True] * bool(count)


def test_python_functions_that_compute_run_in_processes_through_par(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(range(256)) * 40)
    computed = par(Stream.file(path, chunk_bytes=1024), 2, chunk=1).map(sum)
    assert Stream(computed, blocking=True).run(Sink.fold(0, lambda a, b: a + b)) == sum(range(256)) * 40

    async def main() -> int:
        return await Stream(computed, blocking=True).run_async(Sink.count())

    assert asyncio.run(main()) == 10
