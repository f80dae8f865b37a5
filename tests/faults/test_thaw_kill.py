"""kill -9 at every step of a thaw: the next run gives the same rows, and pays for nothing that was kept."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from esker.storage.tiers.disk import DiskTier
from tests.faults.thaw_kill import COLUMNS, ROWS, thawed
from tests.unit.frozen.tools import frozen
from tests.unit.thaw.tools import wide_table

TABLE = wide_table(2000)
ROOT = Path(__file__).parents[2]


def made(folder: Path) -> Path:
    folder.mkdir()
    frozen(TABLE, folder / "s.esker", ["key"], DiskTier(folder / "tier"), extent_rows=500, row_group_rows=250)
    return folder


def paid(folder: Path) -> list[str]:
    path = folder / "paid"
    return path.read_text().splitlines() if path.exists() else []


def killed_at(folder: Path, step: int) -> bool:
    """Run a thaw that dies at a step; False when it came to its end before."""
    command = [sys.executable, "-m", "tests.faults.thaw_kill", str(folder), str(step)]
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=120)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr.decode()
    return ended.returncode != 0


def checked(folder: Path, step: int) -> bool:
    """Kill a thaw at a step and run it again; False when it came to its end before."""
    if not killed_at(made(folder), step):
        return False
    before = paid(folder)
    assert thawed(folder).equals(TABLE.select(COLUMNS).take(ROWS.to_numpy()))
    after = paid(folder)
    # A range that was served and not yet kept when the process died is the only one that is asked for again.
    twice = len(after) - len(set(after))
    assert twice <= 1 and (twice == 0 or before[-1] in after[len(before) :])
    return True


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_a_thaw_that_is_killed_goes_on_where_it_was(tmp_path: Path, part: int) -> None:
    """Steps in three parts, so that they run side by side."""
    deaths = 0
    while checked(tmp_path / str(deaths), part + 3 * deaths):
        deaths += 1
    assert deaths > 5


def test_a_thaw_that_is_killed_in_the_middle_goes_on_where_it_was(tmp_path: Path) -> None:
    assert checked(tmp_path / "middle", 10)


def test_a_second_run_pays_nothing(tmp_path: Path) -> None:
    folder = made(tmp_path / "whole")
    first = thawed(folder)
    once = paid(folder)
    assert once and thawed(folder).equals(first) and paid(folder) == once
