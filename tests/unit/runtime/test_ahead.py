from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from esker.runtime.ahead import made_ahead


def test_results_come_in_order_from_one_other_thread() -> None:
    threads: set[int] = set()

    def job(number: int) -> Callable[[], int]:
        def run() -> int:
            threads.add(threading.get_ident())
            return number

        return run

    assert list(made_ahead((job(number) for number in range(50)), 3)) == list(range(50))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_no_more_jobs_are_asked_for_than_may_lie_ahead() -> None:
    asked = 0

    def jobs() -> Iterator[Callable[[], int]]:
        nonlocal asked
        for number in range(20):
            asked += 1
            yield lambda number=number: number  # type: ignore[misc]

    results = made_ahead(jobs(), 2)
    for number in range(20):
        assert next(results) == number
        assert asked <= number + 3


def test_the_first_result_waits_for_no_other_job() -> None:
    def jobs() -> Iterator[Callable[[], int]]:
        yield lambda: 1
        raise AssertionError("asked for a second job before the first result was taken")

    assert next(made_ahead(jobs(), 2)) == 1


def test_an_error_is_raised_in_its_place() -> None:
    def fail() -> int:
        raise ValueError("the third")

    results = made_ahead(iter([lambda: 1, lambda: 2, fail, lambda: 4]), 2)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(results)


def test_a_reader_that_leaves_ends_the_thread_and_begins_nothing_more() -> None:
    begun: list[int] = []

    def job(number: int) -> Callable[[], int]:
        return lambda: begun.append(number) or number

    results = made_ahead((job(number) for number in range(100)), 2)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert set(begun) <= {0, 1, 2}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("esker-ahead")]
