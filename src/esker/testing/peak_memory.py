"""Measure the memory promise: peak anonymous memory of a process tree over an idle interpreter (contracts, 1)."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SAMPLE_SECONDS = 0.003
# One tiny query of each kind, so that what Arrow and we load when first needed counts as idle.
_IDLE = """
import pathlib, sys, tempfile, esker
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder)
    rows = esker.from_arrow({"k": [1, 2], "text": ["a", "b"]})
    rows.write_parquet(path / "rows.parquet")
    rows = esker.read_parquet(path / "rows.parquet").filter("k > 0")
    rows.shuffle("k", 2).write_partitions(path / "out")
    rows.group_by("k").map_groups(lambda group: {"n": group.num_rows}).join(rows, left_on="n", right_on="k").count()
    esker.freeze(rows, path / "rows.esker", keys="k", index=["k"])
    esker.find(path / "rows.esker", "k = 1").to_arrow()
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class PeakMemory:
    """What a run took: bytes at its peak, bytes of an idle interpreter, and what it printed."""

    peak_bytes: int
    idle_bytes: int
    returncode: int
    stdout: str
    stderr: str

    @property
    def over_idle_bytes(self) -> int:
        """The bytes that count against a budget."""
        return self.peak_bytes - self.idle_bytes


def anonymous_bytes(pid: int) -> int:
    """RssAnon + RssShmem of a process and all below it, in bytes (file-backed maps do not count); 0 when it is gone."""
    total = 0
    for process in process_tree(pid):
        try:
            status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total


def process_tree(pid: int) -> list[int]:
    """Find a process and all below it, parents first; one that is gone has nothing below it."""
    found = [pid]
    for process in found:
        # A process or a thread may end while we look at it; what ended has no children and no memory.
        with suppress(OSError):
            for children in Path(f"/proc/{process}/task").glob("*/children"):
                with suppress(OSError):
                    found += [int(child) for child in children.read_text().split()]
    return found


@cache
def idle_bytes(code: str = _IDLE) -> int:
    """Anonymous memory of an interpreter, and all below it, that has imported Esker, run tiny queries, and now waits.

    `code` is run for it, and must print a line when it is done, then read standard input to its end; by default it runs
    one query of each kind of a Dataset's.
    """
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        # On a busy machine a process stands still for seconds before it is done.
        assert process.stdout is not None and process.stdout.readline(), "the idle process failed"
        settled = -1
        while (now := anonymous_bytes(process.pid)) != settled or now == 0:
            settled = now
            threading.Event().wait(1.0)
        return settled
    finally:
        process.communicate()


def run_measured(
    code: str,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = 300,
    *,
    idle: str = _IDLE,
) -> PeakMemory:
    """Run Python `code` in a fresh interpreter and watch the memory of it and all below it every three milliseconds.

    `idle` is what stands for doing nothing: see `idle_bytes`.

    Sampling may miss a peak shorter than that; the kernel's own VmHWM counts file-backed pages too, so it cannot
    stand in.
    """
    unused_bytes = idle_bytes(idle)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(environment) if environment is not None else None,
    )
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            peak = max(peak, anonymous_bytes(process.pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        stdout, stderr = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    finally:
        done.set()
        watcher.join()
    return PeakMemory(peak, unused_bytes, process.returncode, stdout, stderr)
