"""Changes of an index, killed at every step: the state before or the state after, and nothing else for long."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.frozen.tools import MEMORY_FOLDER

ROOT = Path(__file__).parents[2]
SCENARIOS = ["build", "append", "delete", "compact", "put"]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER, prefix="esker-test-") as made:
        yield Path(made).resolve()


def run(scenario: str, folder: Path, stride: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.index_kill", scenario, str(folder), str(stride)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_leaves_the_state_before_or_after(folder, scenario):
    assert "kills" in run(scenario, folder, stride=7)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_every_single_step_leaves_the_state_before_or_after(folder, scenario):
    assert "kills" in run(scenario, folder, stride=1)
