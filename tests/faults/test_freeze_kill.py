"""Freeze and append, killed at every step: the state before or the state after, and nothing else for long.

One counter runs over every operation on local files, on the tier's files and on the database (through an SQLite VFS).
A child process is killed (SIGKILL) before the chosen operation, or half-way through a write; then another looks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.frozen.tools import MEMORY_FOLDER

HERE = Path(__file__)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of syncs take minutes on a busy disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER, prefix="esker-test-") as made:
        yield Path(made).resolve()


def run(scenario: str, folder: Path, stride: int) -> str:
    done = subprocess.run(
        [sys.executable, str(HERE.with_name("freeze_kill.py")), scenario, str(folder), str(stride)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("scenario", ["freeze", "append"])
def test_a_kill_leaves_the_state_before_or_after(folder, scenario):
    assert "kills" in run(scenario, folder, stride=9)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["freeze", "append"])
def test_a_kill_at_every_single_step_leaves_the_state_before_or_after(folder, scenario):
    assert "kills" in run(scenario, folder, stride=1)
