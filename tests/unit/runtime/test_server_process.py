"""The server of workers starts when Bags are loaded and not before, is taken by the pool, and never stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

import esker


def printed(code: str) -> list[str]:
    """The lines that `code` prints in an interpreter of its own."""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return process.stdout.splitlines()


CHILDREN = "import psutil; children = lambda: [child.pid for child in psutil.Process().children()]\n"


def test_the_server_starts_with_the_first_bag_and_no_sooner() -> None:
    lines = printed(
        CHILDREN + "import esker\nesker.from_arrow({'n': [1]}).count()\nprint(len(children()))\n"
        "esker.of\nbefore = children()\nprint(len(before))\n"
        "print(esker.of([1, 2]).map(str).collect(), children() == before)"
    )
    assert lines == ["0", "1", "['1', '2'] True"]


def test_a_server_that_nobody_needed_ends_with_the_process() -> None:
    (pid,) = printed(
        CHILDREN + "import esker\nesker.of([1]).with_options(runtime='inline').count()\nprint(*children())"
    )
    assert not psutil.pid_exists(int(pid))


def test_a_server_that_died_before_it_was_needed_is_replaced() -> None:
    lines = printed(
        CHILDREN + "import esker, os, signal, time\nesker.of\n(pid,) = children()\nos.kill(pid, signal.SIGKILL)\n"
        "psutil.wait_procs([psutil.Process(pid)], timeout=0.2)\nprint(esker.of([1, 2]).map(str).collect())"
    )
    assert lines == ["['1', '2']"]


def test_a_process_that_is_forked_before_the_first_run_has_a_server_of_its_own() -> None:
    lines = printed(
        "import esker, os\nesker.of\npid = os.fork()\nfound = esker.of([1, 2]).map(str).collect()\n"
        "if pid == 0:\n    from esker.runtime.pool import close_pools; close_pools(); os._exit(len(found))\n"
        "print(found, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert lines == ["['1', '2'] 2"]


def test_workers_start_no_server_when_a_function_loads_bags() -> None:
    def children_of_a_worker(n: int) -> int:
        __import__("esker.collection.bag.files")
        return len(psutil.Process().children())

    assert esker.of([1, 2], partitions=2).map(children_of_a_worker).collect() == [0, 0]


def test_functions_see_the_environment_of_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = esker.of([1, 2], partitions=2).map(lambda n: os.environ.get("ESKER_TEST_WORD"))
    assert seen.collect() == [None, None]
    monkeypatch.setenv("ESKER_TEST_WORD", "first")
    assert seen.collect() == ["first", "first"]
    monkeypatch.delenv("ESKER_TEST_WORD")
    assert seen.collect() == [None, None]


def test_the_server_loads_for_new_workers_what_the_driver_has_come_to_need(tmp_path: Path) -> None:
    lines = printed(
        "import esker, sys\n"
        "loaded = lambda n: 'numpy' in sys.modules\n"
        "def both(workers): return esker.range(4, partitions=4).with_options(workers=workers).map(loaded).collect()\n"
        "first = both(1)\n"
        "import numpy\n"
        "from esker.runtime import pool\n"
        "worker = pool.shared_pool()._idle.pop()\n"  # so that a new one is forked
        "print(first, both(1))\nworker.close()"
    )
    assert lines == ["[False, False, False, False] [True, True, True, True]"]


def test_wide_steps_by_texts_and_numbers_load_no_numpy() -> None:
    lines = printed(
        "import esker, sys\n"
        "pairs = esker.of([('a', 1), ('b', 2), ('a', 3)], partitions=2)\n"
        "loaded = lambda pair: (pair[0], len(pair[1]), 'numpy' in sys.modules)\n"
        "print(sorted(pairs.group_by_key().map(loaded).collect()), 'numpy' in sys.modules)"
    )
    assert lines == ["[('a', 2, False), ('b', 1, False)] False"]


def test_where_no_process_can_be_started_a_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from esker.errors import ResourceError
    from esker.runtime import pool, server_process

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    pool.close_pools()
    monkeypatch.setattr(server_process.subprocess, "Popen", refuse)
    with pytest.raises(ResourceError, match="cannot start worker processes: Resource temporarily unavailable"):
        esker.of([1]).map(str).collect()
    monkeypatch.undo()
    assert esker.of([1]).map(str).collect() == ["1"]
