"""first and gather, for callables and for what is awaited: results, failures, order, and no loser left."""

from __future__ import annotations

import asyncio
import os
import threading
from functools import partial
from typing import Any

import anyio
import pytest

import esker
from esker import first, gather
from esker.errors import InputError, OptionError, UserFunctionError, WorkerLostError
from esker.testing.virtual_time import run_in_virtual_time


def fail(text: str) -> None:
    raise ValueError(text)


async def later(seconds: float, result: Any, ended: list[Any] | None = None) -> Any:
    try:
        await anyio.sleep(seconds)
    finally:
        if ended is not None:
            ended.append(result)
    if isinstance(result, Exception):
        raise result
    return result


@pytest.mark.parametrize("runtime", ["inline", "threads", "processes"])
def test_gather_gives_results_in_the_order_of_the_tasks(runtime: str) -> None:
    assert gather([partial(pow, n, 2) for n in range(9)], workers=2, runtime=runtime) == [n * n for n in range(9)]
    assert gather([], runtime=runtime) == []


@pytest.mark.parametrize("runtime", ["inline", "threads", "processes"])
def test_gather_raises_the_failure_or_returns_it(runtime: str) -> None:
    tasks = [lambda: 1, lambda: fail("broken"), lambda: 3]
    with pytest.raises(UserFunctionError, match="ValueError: broken") as caught:
        gather(tasks, workers=1, runtime=runtime)
    assert str(caught.value).splitlines()[-1].endswith("called by gather on task 1")
    one, error, three = gather(tasks, workers=2, runtime=runtime, return_failures=True)
    assert (one, three) == (1, 3)
    assert isinstance(error, UserFunctionError)
    assert isinstance(error.__cause__, ValueError)


def test_an_error_that_a_task_returns_is_a_result() -> None:
    returned = gather([lambda: ValueError("a value")], runtime="inline")
    assert isinstance(returned[0], ValueError)
    assert isinstance(first([lambda: ValueError("a value")], runtime="inline"), ValueError)


def test_no_more_tasks_run_than_there_are_workers() -> None:
    most, running = 0, 0
    lock = threading.Lock()
    together = threading.Barrier(3, timeout=60)

    def task() -> None:
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1

    gather([task] * 9, workers=3, runtime="threads")
    assert most == 3


def test_first_is_the_first_to_end_or_the_first_to_succeed() -> None:
    failed = threading.Event()

    def failing() -> None:
        failed.set()
        fail("broken")

    def succeeding() -> str:
        failed.wait(timeout=60)
        threading.Event().wait(0.2)
        return "fine"

    assert first([failing, succeeding], success=True, runtime="threads") == "fine"
    let_go = threading.Event()
    with pytest.raises(UserFunctionError, match="broken"):
        first([failing, lambda: let_go.wait(60)], runtime="threads")
    let_go.set()  # nobody ends a thread
    with pytest.raises(UserFunctionError, match="one"):
        first([lambda: fail("one"), lambda: fail("two")], success=True, runtime="threads")


def test_a_task_whose_process_dies_has_lost_and_is_named() -> None:
    with pytest.raises(WorkerLostError, match="exit status 4") as caught:
        first([lambda: os._exit(4)])
    assert caught.value.__notes__ == ["in <lambda>, task 0 of first"]
    assert first([lambda: os._exit(4), lambda: "fine"], success=True) == "fine"


def test_random_numbers_are_those_of_the_task() -> None:
    tasks = [lambda: int(esker.rng().integers(1 << 30))] * 4
    numbers = gather(tasks, workers=2)
    assert len(set(numbers)) == 4
    assert gather(tasks, runtime="inline") == numbers


def test_first_of_what_is_awaited_cancels_the_others_and_waits_for_them() -> None:
    async def main() -> tuple[str, list[str], float]:
        ended: list[str] = []
        won = await first([later(9, "slow", ended), later(1, "quick", ended), later(5, "middle", ended)])
        return won, sorted(ended), anyio.current_time()

    assert run_in_virtual_time(main) == ("quick", ["middle", "quick", "slow"], 1)


def test_asynchronous_functions_and_futures_count_as_awaited() -> None:
    async def main() -> list[Any]:
        task = asyncio.ensure_future(later(50, "late"))
        won = await first([task, later(2, "soon")])
        assert task.cancelled()
        return [won, await gather([partial(later, 2, "a"), partial(later, 1, "b")]), anyio.current_time()]

    assert run_in_virtual_time(main) == ["soon", ["a", "b"], 4]


def test_failures_of_what_is_awaited() -> None:
    async def main() -> None:
        with pytest.raises(UserFunctionError, match="ValueError: one"):
            await first([later(1, ValueError("one")), later(2, "fine")])
        assert await first([later(1, ValueError("one")), later(2, "fine")], success=True) == "fine"
        with pytest.raises(UserFunctionError, match="one"):
            await first([later(2, ValueError("one")), later(1, ValueError("two"))], success=True)
        ended: list[Any] = []
        with pytest.raises(UserFunctionError, match="called by gather on task 1"):
            await gather([later(9, "late", ended), later(1, ValueError("one"))])
        assert ended == ["late"]
        fine, error = await gather([later(2, "fine"), later(1, ValueError("one"))], return_failures=True)
        assert fine == "fine"
        assert isinstance(error.__cause__, ValueError)

    run_in_virtual_time(main)


def test_gather_awaits_no_more_at_a_time_than_it_may() -> None:
    async def main() -> float:
        assert await gather([later(1, n) for n in range(6)], workers=2) == list(range(6))
        return anyio.current_time()

    assert run_in_virtual_time(main) == 3


def test_cancelling_a_gather_leaves_no_coroutine_behind() -> None:
    async def main() -> list[int]:
        ended: list[int] = []
        with anyio.move_on_after(1):
            await gather([later(9, n, ended) for n in range(3)], workers=1)
        return ended

    assert run_in_virtual_time(main) == [0]


def test_what_is_no_task_is_named() -> None:
    with pytest.raises(OptionError, match="task 1 is neither callable nor to be awaited, but int"):
        gather([lambda: 1, 7])  # type: ignore[list-item]
    with pytest.raises(OptionError, match="keep the two apart"):
        first([later(1, 1), lambda: 1])  # type: ignore[list-item]
    with pytest.raises(InputError, match="no tasks"):
        first([])
