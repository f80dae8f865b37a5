"""What is not wanted any more is ended: find, exists, forall, first, errors, and leaving a loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from esker import first, gather, par
from esker.errors import UserFunctionError

ROOT = Path(__file__).parents[3]


def at_work(folder: Path, name: object) -> None:
    """Say which process works, then work for ever."""
    aside = folder / f".{name}"
    aside.write_text(str(os.getpid()))
    aside.rename(folder / str(name))
    time.sleep(600)


def wait_for(folder: Path, *names: object) -> None:
    while not all((folder / str(name)).exists() for name in names):  # within the test's time limit
        time.sleep(0.001)


def runs(pid: int) -> bool:
    """Whether there is such a process, zombies apart."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(folder: Path) -> list[int]:
    # One that was killed before it could say so has left a file aside; a file without a number is a mere mark.
    texts = [path.read_text() for path in folder.iterdir() if not path.name.startswith(".")]
    return [int(text) for text in texts if text]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of processes that are at work for ever; those that a failing test left are ended."""
    yield tmp_path
    for pid in filter(runs, pids(tmp_path)):
        os.kill(pid, signal.SIGKILL)


def test_find_ends_the_workers_behind_the_match(folder: Path) -> None:
    def look(n: int) -> bool:
        if n == 0:
            wait_for(folder, 1)
            return True
        at_work(folder, n)
        return False

    assert par(range(8), 2, chunk=1).find(look) == 0
    assert len(pids(folder)) >= 1  # and the chunk after the match, if a worker had taken it
    assert not any(map(runs, pids(folder)))


def test_find_waits_for_what_comes_before_the_match(folder: Path) -> None:
    def look(n: int) -> bool:
        if n == 0:
            wait_for(folder, "later")
            return True
        if n == 1:
            (folder / "later").write_text("0")
        return True

    assert par(range(2), 2, chunk=1).find(look) == 0


def test_an_early_failure_beats_a_later_match(folder: Path) -> None:
    def look(n: int) -> bool:
        if n == 0:
            wait_for(folder, "matched")
            raise ValueError("first")
        (folder / "matched").touch()
        return True

    with pytest.raises(UserFunctionError, match="first"):
        par(range(2), 2, chunk=1).find(look)


@pytest.mark.parametrize("verb", ["exists", "forall", "find"])
def test_any_answer_that_decides_ends_all_workers(verb: str, folder: Path) -> None:
    def look(n: int) -> bool:
        if n == 0:
            at_work(folder, n)
        wait_for(folder, 0)
        return verb != "forall"

    answer = getattr(par(range(8), 2, chunk=1, ordered=False), verb)(look)
    assert answer == {"exists": True, "forall": False, "find": answer}[verb]
    assert not any(map(runs, pids(folder)))


def test_a_failure_ends_the_workers_behind_it(folder: Path) -> None:
    def work(n: int) -> None:
        if n == 0:
            wait_for(folder, 1)
            raise ValueError("broken")
        at_work(folder, n)

    with pytest.raises(UserFunctionError, match="broken"):
        par(range(8), 2, chunk=1).map(work).to_list()
    assert not any(map(runs, pids(folder)))


def test_leaving_the_loop_ends_all_workers(folder: Path) -> None:
    def work(n: int) -> int:
        if n:
            at_work(folder, n)
        return n

    for n in par(range(8), 2, chunk=1).map(work):
        assert n == 0
        wait_for(folder, 1)
        break
    assert not any(map(runs, pids(folder)))


INTERRUPTED = """
import pathlib, sys, time
from esker import par
from tests.unit.parallel.test_abort import at_work
folder = pathlib.Path(sys.argv[1])
try:
    par(range(4), 2, chunk=1).map(lambda n: at_work(folder, n)).to_list()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_ends_all_workers(folder: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        wait_for(folder, 0, 1)
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("interrupted\n", None)
    assert process.returncode == 0
    assert not any(map(runs, pids(folder)))


def test_threads_stop_at_their_next_item() -> None:
    seen: list[int] = []
    others: list[threading.Thread] = []
    found = threading.Event()

    def look(n: int) -> bool:
        seen.append(n)
        if n == 0:
            while 10 not in seen:  # within the test's time limit
                time.sleep(0.001)
            return True
        others.append(threading.current_thread())
        found.wait(60)
        return False

    assert par(range(1000), 2, runtime="threads", chunk=10).find(look) == 0
    found.set()
    for thread in others:
        thread.join()
    assert seen.count(10) == 1
    assert 11 not in seen


def test_first_kills_the_losers_and_they_are_gone_when_it_returns(folder: Path) -> None:
    def winner() -> str:
        wait_for(folder, "a", "b")
        return "won"

    assert first([lambda: at_work(folder, "a"), winner, lambda: at_work(folder, "b")]) == "won"
    assert len(pids(folder)) == 2
    assert not any(map(runs, pids(folder)))


def test_what_a_loser_has_started_is_ended_with_it(folder: Path) -> None:
    def loser() -> None:
        # Leads to a process of the process that is killed; it says who it is by itself.
        script = f"echo $$ > {folder}/.a; mv {folder}/.a {folder}/a; exec sleep 600"
        subprocess.run(["sh", "-c", script], check=False)

    def winner() -> str:
        wait_for(folder, "a")
        return "won"

    assert first([loser, winner]) == "won"
    while any(map(runs, pids(folder))):  # within the test's time limit: it is killed, and maybe not gone yet
        time.sleep(0.001)


def test_gather_ends_the_others_when_one_fails(folder: Path) -> None:
    def failing() -> None:
        wait_for(folder, "a")
        raise ValueError("broken")

    with pytest.raises(UserFunctionError, match="broken"):
        gather([lambda: at_work(folder, "a"), failing], workers=2)
    assert not any(map(runs, pids(folder)))
