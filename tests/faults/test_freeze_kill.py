"""Freeze and append, killed at every step: the state before or the state after, and nothing else for long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import killing


@pytest.fixture
def folder() -> Iterator[Path]:
    with killing.fast_folder() as made:
        yield made


def run(scenario: str, folder: Path, stride: int) -> str:
    return killing.run("tests.faults.freeze_kill", scenario, folder, stride)


@pytest.mark.parametrize("scenario", ["freeze", "append"])
def test_a_kill_leaves_the_state_before_or_after(folder, scenario):
    assert "kills" in run(scenario, folder, stride=9)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["freeze", "append"])
def test_a_kill_at_every_single_step_leaves_the_state_before_or_after(folder, scenario):
    assert "kills" in run(scenario, folder, stride=1)
