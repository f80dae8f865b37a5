from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from esker.errors import WorkerLostError
from esker.runtime import frames, pool
from esker.runtime.executor import Completion
from esker.runtime.executors import EXECUTORS
from esker.runtime.executors.simulated import SimulatedExecutor
from esker.runtime.pickled import Shared

# Ray's needs a cluster: tests/contract/test_ray.py runs the same there.
HERE = [name for name in EXECUTORS if name != "ray"]


@pytest.mark.parametrize("name", HERE)
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


@pytest.mark.parametrize("name", [name for name in HERE if not EXECUTORS[name](1).apart])
def test_closing_drops_tasks_that_have_not_started_and_leaves_no_thread(name: str) -> None:
    before = set(threading.enumerate())
    started = []
    gate = threading.Event()
    executor = EXECUTORS[name](1)
    executor.submit(lambda: (started.append(1), gate.wait(60)))
    for _ in range(5):
        executor.submit(lambda: started.append(2))
    gate.set()
    executor.close()
    executor.close()
    assert set(threading.enumerate()) <= before
    assert started.count(2) <= 5


@pytest.mark.parametrize("name", HERE)
def test_a_stream_gives_every_item_in_order_and_then_its_error(name: str) -> None:
    def items() -> Iterator[int]:
        yield from range(1000)
        raise ValueError("broken")

    with EXECUTORS[name](2) as executor:
        found: list[int] = []
        with pytest.raises(ValueError, match="broken"):
            found.extend(executor.stream(items, 4))
    assert found == list(range(1000))


@pytest.mark.parametrize("name", HERE)
def test_streams_are_read_side_by_side(name: str) -> None:
    with EXECUTORS[name](2) as executor:
        streams = [executor.stream(lambda n=n: range(n, n + 500), 3) for n in (0, 500)]
        assert list(zip(*streams, strict=True)) == [(n, n + 500) for n in range(500)]


@pytest.mark.parametrize("name", HERE)
def test_closing_a_stream_closes_what_it_iterates(name: str, tmp_path: Path) -> None:
    def items(path: Path = tmp_path / "closed") -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            path.touch()

    # All the time that it needs on a busy machine: a worker that takes longer is ended, and closes nothing.
    with pytest.MonkeyPatch.context() as patch, EXECUTORS[name](1) as executor:
        patch.setattr(pool, "_STOP_SECONDS", 60.0)
        stream = executor.stream(items, 2)
        assert next(stream) == 0
        stream.close()
    assert (tmp_path / "closed").exists()


def test_a_process_that_ends_in_a_task_fails_that_task_alone() -> None:
    with EXECUTORS["processes"](2) as executor:
        tickets = [executor.submit(lambda n=n: os._exit(7) if n == 3 else n) for n in range(6)]
        done: dict[int, Completion] = {}
        while found := executor.completed():
            done |= {completion.ticket: completion for completion in found}
    lost = done.pop(tickets[3]).error
    assert isinstance(lost, WorkerLostError)
    assert lost.exit_status == 7
    assert sorted(completion.value for completion in done.values()) == [0, 1, 2, 4, 5]


def test_a_server_that_is_slow_to_say_how_a_worker_ended_is_waited_for() -> None:
    server = psutil.Process(pool.shared_pool()._process.pid)
    resume = threading.Timer(1.5, server.resume)  # as on a machine that has other things to do
    with EXECUTORS["processes"](1) as executor:
        executor.submit(os.getpid)
        executor.completed()
        try:
            server.suspend()
            resume.start()
            executor.submit(lambda: os._exit(7))
            (lost,) = executor.completed()
        finally:
            resume.join()
    assert isinstance(lost.error, WorkerLostError)
    assert lost.error.exit_status == 7


def test_large_buffers_and_shared_functions_cross_unchanged() -> None:
    rows = np.arange(1_000_000)
    with EXECUTORS["processes"](1) as executor:
        executor.submit(lambda: rows[::-1].copy())
        (completion,) = executor.completed()
    assert np.array_equal(completion.value, rows[::-1])


def test_what_a_function_keeps_does_not_pass_from_task_to_task() -> None:
    kept: list[int] = []
    shared = Shared(lambda: kept.append(1) or len(kept))
    with EXECUTORS["processes"](1) as executor:
        for _ in range(3):
            executor.submit(partial(_call, shared))
        found = []
        while done := executor.completed():
            found += [completion.value for completion in done]
    assert found == [1, 1, 1]


def _call(shared: Shared) -> Any:
    return shared.value()


@pytest.mark.parametrize("name", HERE)
def test_nothing_is_told_of_cancelled_tasks(name: str) -> None:
    with EXECUTORS[name](1) as executor:
        tickets = [executor.submit(partial(abs, -n)) for n in range(6)]
        executor.cancel(tickets[1:4])
        executor.cancel(tickets[1:4])
        found: list[Completion] = []
        while completed := executor.completed():
            found += completed
    assert {completion.ticket: completion.value for completion in found} == {0: 0, 4: 4, 5: 5}


def test_a_cancelled_process_is_gone_and_others_take_its_place(tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / "aside").write_text(str(os.getpid()))
        (tmp_path / "aside").rename(tmp_path / "pid")
        time.sleep(600)

    with EXECUTORS["processes"](1) as executor:
        ticket = executor.submit(work)
        following = executor.submit(os.getpid)
        while not (tmp_path / "pid").exists():  # within the test's time limit
            time.sleep(0.001)
        executor.cancel([ticket])
        pid = int((tmp_path / "pid").read_text())
        assert not Path(f"/proc/{pid}").exists()
        (completion,) = executor.completed()
        assert completion.ticket == following
        assert completion.value != pid
        assert executor.completed() == []


def test_closing_does_not_wait_for_a_cancelled_thread() -> None:
    begun, let_go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        let_go.wait(60)

    executor = EXECUTORS["threads"](1)
    ticket = executor.submit(work)
    begun.wait(60)
    executor.cancel([ticket])
    executor.close()
    assert executor.completed() == []
    let_go.set()


def _simulated_run(seed: int, losses: float) -> list[tuple[int, Any]]:
    ends: list[tuple[int, Any]] = []
    with SimulatedExecutor(4, seed, losses) as executor:
        tasks = {executor.submit(partial(abs, -n)): (n, 0) for n in range(30)}
        while found := executor.completed():
            for completion in found:
                number, attempt = tasks.pop(completion.ticket)
                if completion.error is None:
                    ends.append((number, completion.value))
                else:
                    assert isinstance(completion.error, WorkerLostError)
                    tasks[executor.submit(partial(abs, -number), attempt + 1)] = number, attempt + 1
                    ends.append((number, "lost"))
    return ends


def test_a_simulated_cluster_loses_the_same_tasks_for_the_same_seed_and_gives_all_in_the_end() -> None:
    ends = _simulated_run(3, 0.4)
    assert ends == _simulated_run(3, 0.4)
    assert ends != _simulated_run(4, 0.4)
    assert [end for end in ends if end[1] == "lost"]
    assert sorted(number for number, value in ends if value != "lost") == list(range(30))


def test_what_a_simulated_task_changes_is_its_own() -> None:
    seen: list[int] = []
    with SimulatedExecutor(1) as executor:
        executor.submit(lambda: seen.append(1) or len(seen))
        (completion,) = executor.completed()
    assert (completion.value, seen) == (1, [])


@pytest.mark.parametrize("torn", ["send", "receive"])
def test_a_worker_whose_frame_was_torn_by_an_interrupt_is_not_used_again(
    torn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(frames, torn)

    def interrupted(*arguments: Any) -> Any:
        real(*arguments)
        raise KeyboardInterrupt

    pool.close_pools()
    with pytest.raises(KeyboardInterrupt), EXECUTORS["processes"](1) as executor:
        monkeypatch.setattr(pool.frames, torn, interrupted)
        executor.submit(lambda: time.sleep(0.3) or "old")
        executor.completed()
    monkeypatch.undo()
    with EXECUTORS["processes"](1) as executor:
        executor.submit(lambda: "new")
        assert [completion.value for completion in executor.completed()] == ["new"]
