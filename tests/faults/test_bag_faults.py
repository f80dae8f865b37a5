"""Workers that die, functions that fail, Ctrl-C: the answer is right or the error says where, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest

import esker
from esker.errors import UnpicklableFunctionError, UserFunctionError, WorkerLostError

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def once(path: Path) -> bool:
    """Whether this is the first call with `path`, in whatever process."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, None])
@pytest.mark.parametrize("action", ["collect", "iterate", "count"])
def test_a_partition_whose_worker_died_once_is_worked_on_again(how: Any, action: str, tmp_path: Path) -> None:
    def dies_once(n: int) -> int:
        if n == 700 and once(tmp_path / "died"):
            os._exit(5) if how is None else os.kill(os.getpid(), how)
        return n

    bag = esker.range(1000, partitions=3).map(dies_once)
    found = {"collect": bag.collect, "iterate": lambda: list(bag), "count": lambda: list(range(bag.count()))}[action]()
    assert found == list(range(1000))
    assert (tmp_path / "died").exists()


def test_a_worker_that_always_dies_is_told_with_step_partition_and_element() -> None:
    def dies(n: int) -> int:
        if n == 700:
            os._exit(5)
        return n

    with pytest.raises(WorkerLostError) as caught:
        esker.range(1000, partitions=4).map(str).map(int).map(dies).with_options(retries=1).count()
    text = str(caught.value)
    lines = text.splitlines()
    assert lines[0].startswith("element 700, number 201 of partition 2 of 4: a worker process was lost in map(str) at ")
    assert "map(dies) at " in lines[0]
    assert "count() at " in lines[0]
    assert "exit status 5, 2 times" in lines[1]
    assert len(lines) <= 15
    assert esker.range(10).count() == 10


def test_a_crash_is_told_by_its_input_and_the_users_line_before_the_signal(tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("7\n")

    def crashes(line: str) -> int:
        import ctypes

        return ctypes.string_at(int(line) - 7)[0]

    with pytest.raises(WorkerLostError) as caught:
        esker.read_text(tmp_path / "numbers.txt", partitions=1).map(crashes).with_options(retries=1).count()
    lines = caught.value.message.splitlines()
    assert lines[0].startswith("element '7', number 1 of partition 0 of 1 (")
    assert "numbers.txt" in lines[0]
    assert lines[0].endswith("in crashes: return ctypes.string_at(int(line) - 7)[0]")
    assert lines[1].startswith("  in a library: ")
    assert lines[2].startswith("  in map(crashes) at ")
    assert "was ended by SIGSEGV, 2 times" in lines[3]
    assert lines[4] == "  Fatal Python error: Segmentation fault"


def test_a_crash_in_a_reduction_names_its_step() -> None:
    def crashes(left: int, right: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return left + right

    pairs = esker.of([("a", 1), ("a", 2)], partitions=2)
    with pytest.raises(WorkerLostError, match="SIGKILL") as caught:
        pairs.reduce_by_key(crashes, partitions=1).map(str).with_options(retries=0).collect()
    first = caught.value.message.splitlines()[0]
    assert first.startswith("partition 0 of 1: a worker process was lost in reduce_by_key(crashes) at ")
    assert "map(str) at " in first


@pytest.mark.parametrize("runtime", ["inline", "threads", "processes"])
def test_a_failing_function_is_told_by_its_own_line_first(runtime: str) -> None:
    def divide(n: int) -> float:
        return 1 / (n - 700)

    with pytest.raises(UserFunctionError) as caught:
        esker.range(1000, partitions=4).map(divide).with_options(runtime=runtime).collect()
    lines = caught.value.message.splitlines()
    assert lines[0] == "ZeroDivisionError: division by zero"
    assert "in divide: return 1 / (n - 700)" in lines[1]
    assert "in map(divide) at " in lines[-1]
    assert "partition 2 of 4, element 700" in lines[-1]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


class Odd(Exception):
    """Pickles, but cannot be read back."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_an_exception_that_cannot_be_sent_is_still_told() -> None:
    def fails(n: int) -> int:
        raise Odd(1, 2)

    with pytest.raises(UserFunctionError, match="Odd: 1 and 2"):
        esker.of([1]).map(fails).collect()


def test_what_cannot_be_pickled_is_named_before_anything_runs() -> None:
    lock = threading.Lock()

    def locked(n: int) -> int:
        with lock:
            return n

    with pytest.raises(UnpicklableFunctionError, match=r"map\(locked\) at .* holds 'lock', which is a lock"):
        esker.of([1]).map(locked).collect()
    with pytest.raises(UnpicklableFunctionError, match="cannot pickle"):
        esker.of([lock], partitions=1).collect()
    assert esker.of([1]).map(locked).with_options(runtime="threads").collect() == [1]


WORK = """
import sys, time
import esker
print(esker.range(4, partitions=4).map(lambda n: __import__("os").getpid()).collect(), flush=True)
def slow(n):
    print("running", flush=True)
    time.sleep(600)
try:
    {action}
except KeyboardInterrupt:
    print("interrupted", flush=True)
    {after}
"""


def started(action: str, after: str = "raise") -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORK.format(action=action, after=after)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert process.stdout.readline().startswith("running")
    return process, psutil.Process(process.pid).children(recursive=True)


def gone(processes: list[psutil.Process], seconds: float = 60) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not alive


def test_ctrl_c_ends_all_processes_and_soon() -> None:
    process, children = started("esker.range(2, partitions=2).map(slow).count()")
    assert len(children) >= 2
    # As a terminal does: to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)  # long before the ten minutes that its functions sleep
    assert "KeyboardInterrupt" in errors
    assert gone(children)


def test_after_ctrl_c_the_session_works_on() -> None:
    process, children = started(
        "list(esker.range(2, partitions=2).map(slow))",
        "print(esker.range(5, partitions=2).map(str).collect(), flush=True)",
    )
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert "['0', '1', '2', '3', '4']" in output
    assert gone(children)


def test_a_driver_that_is_killed_takes_its_workers_with_it() -> None:
    process, children = started("esker.range(2, partitions=2).map(slow).count()")
    process.kill()
    process.communicate(timeout=60)
    assert gone(children)


def test_a_server_that_is_killed_takes_its_workers_with_it_and_a_new_one_starts() -> None:
    from esker.runtime.pool import shared_pool

    assert esker.range(4, partitions=4).map(lambda n: n).count() == 4
    server = psutil.Process(shared_pool()._process.pid)
    workers = server.children()
    server.kill()
    assert gone([server, *workers])
    assert esker.range(4, partitions=4).map(lambda n: n).count() == 4


def test_a_process_forked_from_the_driver_has_workers_of_its_own() -> None:
    assert esker.range(4, partitions=4).count() == 4
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if esker.range(4, partitions=4).map(lambda n: n + 1).sum() == 10 else 2
            from esker.runtime.pool import close_pools

            close_pools()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert esker.range(4, partitions=4).map(lambda n: n + 1).sum() == 10
