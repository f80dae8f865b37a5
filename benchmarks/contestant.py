"""A case in its subprocess, watched: its memory is sampled, and it is stopped when it takes more than it may."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.case import Case, Digest, Setting
from benchmarks.interpreter import find_interpreter
from esker.core.clock import SYSTEM_CLOCK
from esker.testing.peak_memory import anonymous_bytes, process_tree

SAMPLE_SECONDS = 0.01


@dataclass(frozen=True)
class Sample:
    """One round: wall and processor time of a run, the kernel's peak, the sampled peak of anonymous memory.

    A quick case runs `runs` times in a round, the times are those of one run.
    """

    round_number: int
    runs: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    anonymous_peak_bytes: int
    # Of the prepared process, before the run.
    idle_bytes: int = 0

    @property
    def cores_used(self) -> float:
        """Processor seconds per second of wall time."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """All figures, by name."""
        return {**asdict(self), "cores_used": self.cores_used}


class Contestant:
    """Run one case as often as asked; after a failure `failure` says why, and it runs no more."""

    def __init__(
        self, case: Case, digest: str, setting: Setting, memory_bytes: int, seconds_max: float | None = None
    ) -> None:
        self.case = case
        self.samples: list[Sample] = []
        self.digest: Digest | None = None
        self._memory_bytes = memory_bytes
        self._anonymous_peak_bytes = 0
        self._over_limit = False
        self._seconds_max = seconds_max
        self._deadline: float | None = None
        self.over_time = False
        self._stopping = threading.Event()
        # Set while the process prepares or runs: looking at processes that wait would take time from the one measured.
        self._watched = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._watcher: threading.Thread | None = None
        # A file, not a pipe: a library that prints a lot must not wait for a reader.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  (closed by close())
        interpreter, missing = find_interpreter(case.requires)
        self.failure = f"not measured: {', '.join(missing)} is not installed" if missing else ""
        place = (str(setting.data), str(setting.threads), str(case.share))
        self._command = [interpreter, "-m", "benchmarks.worker", case.prepare, digest, *place]

    def start(self) -> None:
        """Start the process and wait until it is prepared; nothing to do when it is there, or has failed before."""
        if self._process is not None or self.failure:
            return
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )
        self._stopping.clear()
        self._watch_from_now()
        self._watcher = threading.Thread(target=self._watch, args=(self._process,), daemon=True)
        self._watcher.start()
        self._hear()
        self._watched.clear()

    def run(self, round_number: int) -> Sample | None:
        """Run once; a warm-up has the round number 0 and is not kept."""
        self.start()
        if self.failure or self._process is None or self._process.stdin is None:
            return None
        idle_bytes = self._anonymous_peak_bytes = anonymous_bytes(self._process.pid)
        self._watch_from_now()
        try:
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()
            return None
        timing = self._hear()
        # The result is still held: looked at here, no quick case can stay below the watcher's notice.
        self._look(self._process)
        # What checking the result takes is not the case's.
        self._watched.clear()
        if timing is None:
            return None
        sample = Sample(
            round_number,
            timing["runs"],
            timing["seconds"],
            timing["cpu_seconds"],
            timing["peak_bytes"],
            self._anonymous_peak_bytes,
            idle_bytes,
        )
        answer = self._hear()
        if answer is None:
            return None
        self.digest = answer["digest"]
        if round_number:
            self.samples.append(sample)
        return sample

    def reject(self, digest: Digest) -> None:
        """Take the case out when what it computed is not what the reference computed."""
        if not self.failure and self.digest != digest:
            self.failure = f"wrong result: {self.digest} where the reference has {digest}"

    def stop(self) -> None:
        """End the process; `run` starts another one."""
        self._stopping.set()
        self._watched.set()
        if self._process is None:
            return
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            _kill_tree(self._process)
            self._process.wait()
        if self._watcher is not None:
            self._watcher.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def close(self) -> None:
        """End the process, and let go of what it wrote to its standard error."""
        self.stop()
        self._errors.close()

    def _hear(self) -> dict[str, Any] | None:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._fail()
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    def _fail(self) -> None:
        assert self._process is not None
        code = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().strip().rpartition("\n")[2]
        mebibytes = self._memory_bytes / 2**20
        self.failure = f"ended with {code}: {last}"
        if self._over_limit:
            self.failure = f"took more than its {mebibytes:,.0f} MiB"
        elif self.over_time:
            self.failure = f"took longer than its {self._seconds_max:,.0f} s"

    def _watch_from_now(self) -> None:
        self._deadline = None if self._seconds_max is None else SYSTEM_CLOCK.seconds() + self._seconds_max
        self._watched.set()

    def _watch(self, process: subprocess.Popen[str]) -> None:
        while not self._stopping.wait(SAMPLE_SECONDS) and process.poll() is None:
            self._watched.wait()
            self._look(process)
            if self._deadline is not None and SYSTEM_CLOCK.seconds() > self._deadline and self._watched.is_set():
                self.over_time = True
                _kill_tree(process)

    def _look(self, process: subprocess.Popen[str]) -> None:
        now = anonymous_bytes(process.pid)
        self._anonymous_peak_bytes = max(self._anonymous_peak_bytes, now)
        if now > self._memory_bytes:
            self._over_limit = True
            _kill_tree(process)


def _kill_tree(process: subprocess.Popen[str]) -> None:
    """Kill the process and all it started: an engine's workers would outlive it."""
    for doomed in reversed(process_tree(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(doomed, signal.SIGKILL)
