from __future__ import annotations

import threading

import pytest

from esker.core.memory import MemoryBudget
from esker.errors import MemoryBudgetExceededError, OptionError


def test_a_reservation_gives_its_bytes_back_even_after_an_error() -> None:
    budget = MemoryBudget("64MiB")
    with pytest.raises(RuntimeError), budget.reserve("scan", 10 << 20):
        assert budget.held_bytes == 10 << 20
        raise RuntimeError
    assert budget.held_bytes == 0
    assert budget.peak_bytes == 10 << 20


def test_the_error_names_who_wants_and_who_holds() -> None:
    budget = MemoryBudget("64MiB")
    held = budget.reserve("shuffle", 60 << 20)
    with pytest.raises(MemoryBudgetExceededError) as caught:
        budget.reserve("join", 8 << 20)
    assert caught.value.operator == "join"
    assert caught.value.bytes_wanted == 8 << 20
    assert caught.value.holders == {"shuffle": 60 << 20}
    assert "memory=" in str(caught.value)
    held.release()


def test_shrinking_always_works_and_growing_past_the_budget_never_does() -> None:
    budget = MemoryBudget("16MiB")
    held = budget.reserve("a", 16 << 20)
    assert not held.try_resize((16 << 20) + 1)
    assert held.try_resize(1)
    assert budget.held_bytes == 1


@pytest.mark.parametrize("memory", ["1KiB", 0, -5, "many", "", True])
def test_a_senseless_budget_is_refused(memory: object) -> None:
    with pytest.raises(OptionError, match="memory"):
        MemoryBudget(memory)  # type: ignore[arg-type]


def test_threads_never_hold_more_than_the_budget() -> None:
    budget = MemoryBudget("16MiB")
    over = []

    def work() -> None:
        held = budget.reserve("worker", 0)
        for size in range(0, 12 << 20, 1 << 18):
            held.try_resize(size)
            if budget.held_bytes > budget.total_bytes:
                over.append(budget.held_bytes)
        held.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not over
    assert budget.held_bytes == 0
    assert budget.peak_bytes <= budget.total_bytes
