from __future__ import annotations

import subprocess
import sys

from esker.testing.peak_memory import anonymous_bytes, run_measured


def test_a_process_that_is_gone_has_no_memory() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert anonymous_bytes(process.pid) == 0


def test_the_peak_is_that_of_the_process_and_its_children() -> None:
    hold = "import time; held = bytearray(64 << 20); held[::4096] = b'x' * len(held[::4096]); time.sleep(1)"
    run = run_measured(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])")
    assert run.returncode == 0, run.stderr
    assert run.peak_bytes > 64 << 20
