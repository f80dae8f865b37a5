"""A cluster whose processes are killed and stopped at random loses nothing, and says nothing wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from esker.cluster.drill import FAULTS, Drill

# The drill prints some tenths of a second; a machine that does much else may take its time.
PATIENCE_SECONDS = 30.0


@pytest.mark.slow
def test_nothing_is_lost_and_every_answer_is_right_whatever_dies(tmp_path: Path) -> None:
    lines: list[str] = []
    report = Drill(tmp_path / "cluster", nodes=6, seed=3, say=lines.append).run([*FAULTS])
    assert report.missing == [] and report.wrong == []
    assert report.puts > 50 and report.answers > 50 and len(lines) == len(FAULTS)
    for times in [*report.answered_after.values(), *report.put_after.values()]:
        assert max(times) < PATIENCE_SECONDS
