from __future__ import annotations

import threading

import pytest

from esker.runtime.executor import Completion
from esker.runtime.executors import EXECUTORS


@pytest.mark.parametrize("name", list(EXECUTORS))
def test_every_task_completes_once_with_its_own_value_or_error(name: str) -> None:
    def fail() -> None:
        raise ValueError("broken")

    with EXECUTORS[name](3) as executor:
        tickets = [executor.submit(lambda n=n: n * n) for n in range(20)]
        broken = executor.submit(fail)
        done: dict[int, Completion] = {}
        while found := executor.completed():
            done |= {completion.ticket: completion for completion in found}
    assert [done[ticket].value for ticket in tickets] == [n * n for n in range(20)]
    assert isinstance(done[broken].error, ValueError)
    assert len(done) == 21


@pytest.mark.parametrize("name", list(EXECUTORS))
def test_closing_drops_tasks_that_have_not_started_and_leaves_no_thread(name: str) -> None:
    before = threading.active_count()
    started = []
    gate = threading.Event()
    executor = EXECUTORS[name](1)
    executor.submit(lambda: (started.append(1), gate.wait(10)))
    for _ in range(5):
        executor.submit(lambda: started.append(2))
    gate.set()
    executor.close()
    executor.close()
    assert threading.active_count() == before
    assert started.count(2) <= 5
