"""Ctrl-C and SIGTERM stop the work, and nothing half-done is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.cli.command import Run

from esker.cli.interrupts import Interrupts

# The command itself, with a writer slow enough to be caught at work.
SLOW = """
import sys, time
from esker.cli.main import main
import esker.formats.format as format
write = format.FileWriter.write
def slow(self, batch):
    write(self, batch)
    time.sleep(0.05)
format.FileWriter.write = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_writing_leaves_no_file_and_tells_the_shell(
    run: Run, flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    monkeypatch.setattr("esker.core.context.QueryContext.check", _signals_once(number))
    before = sorted(tmp_path.iterdir())
    ended = run("find", flights, "month > 0", "--output", tmp_path / "out.parquet", "--log", tmp_path / "log")
    (tmp_path / "log").unlink(missing_ok=True)
    assert ended.code == code
    assert ended.err.startswith("stopped: ")
    assert len(ended.err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_that_is_stopped_leaves_no_file_no_spill_and_no_process(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    source = tmp_path / "rows.csv"
    source.write_text("k,v\n" + "".join(f"{row % 7},{row}\n" for row in range(300_000)))
    command = ["shuffle", str(source), "--by", "k", "--partitions", "64", "--output", str(tmp_path / "by")]
    with _process([*command, "--spill-folder", str(spill)]) as process:
        _wait_for(lambda: any(".esker-aside-" in path.name for path in tmp_path.iterdir()), process)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "spill"]
    assert list(spill.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_the_first_signal_asks_and_the_second_raises() -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert interrupts.cancellation.cancelled
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def _signals_once(number: signal.Signals) -> object:
    sent = []

    def check(context: object) -> None:
        if not sent:
            sent.append(number)
            signal.raise_signal(number)
        context.cancellation.check()  # type: ignore[attr-defined]

    return check


@contextmanager
def _process(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _wait_for(condition: object, process: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        if condition():  # type: ignore[operator]
            return
        if process.poll() is not None:
            pytest.fail(f"ended too early: {process.communicate()}")
        time.sleep(0.05)
    pytest.fail("never began to write")
