"""The process a case runs in: one line in, one run, two lines out (the time, then what came out)."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from benchmarks.case import Setting, load

# What takes a millisecond is measured over many, or a round tells nothing about the machine.
ROUND_SECONDS = 0.2
RUNS_MAX = 1000


def main(arguments: list[str]) -> None:
    """Prepare the case, say so, then run it each time a line comes, until the input ends."""
    prepare, digest, data, threads, share = arguments
    with _replies() as replies:
        run = load(prepare)(Setting(Path(data), int(threads), int(share)))
        check = load(digest)
        _say(replies, {"ready": True})
        runs = 1
        for _ in sys.stdin:
            result: Any = None
            gc.collect()
            _reset_peak()
            cpu_begin, begin = _cpu_seconds(), time.perf_counter()
            for _ in range(runs):
                result = None  # the last run's pages go back to their pool before the next one
                result = run()
            seconds, cpu_seconds = (time.perf_counter() - begin) / runs, (_cpu_seconds() - cpu_begin) / runs
            _say(replies, {"runs": runs, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": _peak_bytes()})
            _say(replies, {"digest": check(result, Path(data))})
            result = None  # what is held between rounds the others have not
            runs = max(1, min(RUNS_MAX, round(ROUND_SECONDS / seconds)))


def _replies() -> TextIO:
    """Keep the real standard output for ourselves: what a library prints goes to standard error."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(kept, "w", encoding="utf-8")


def _say(replies: TextIO, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _reset_peak() -> None:
    # 5 sets VmHWM back to what is resident now (proc(5)); where it is refused the peak is that of the whole process.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main(sys.argv[1:])
