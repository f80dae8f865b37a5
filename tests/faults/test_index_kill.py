"""Changes of an index, killed at every step: the state before or the state after, and nothing else for long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import killing

SCENARIOS = ["build", "append", "delete", "compact", "put"]


@pytest.fixture
def folder() -> Iterator[Path]:
    with killing.fast_folder() as made:
        yield made


def run(scenario: str, folder: Path, stride: int) -> str:
    return killing.run("tests.faults.index_kill", scenario, folder, stride)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_leaves_the_state_before_or_after(folder, scenario):
    assert "kills" in run(scenario, folder, stride=7)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_every_single_step_leaves_the_state_before_or_after(folder, scenario):
    assert "kills" in run(scenario, folder, stride=1)
