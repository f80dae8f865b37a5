"""Small files to run commands on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli.command import Run, runner

import esker

ROWS = 1000


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `esker` in this process."""
    return runner(capfd)


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    """1000 flights of 12 months, as Parquet."""
    path = tmp_path / "flights.parquet"
    esker.from_arrow(
        {
            "id": list(range(ROWS)),
            "month": [1 + row * 12 // ROWS for row in range(ROWS)],
            "origin": [("JFK", "EWR", "LGA")[row % 3] for row in range(ROWS)],
            "delay": [None if row % 10 == 0 else row % 200 for row in range(ROWS)],
            "note": [f"flight {row}" for row in range(ROWS)],
        }
    ).write_parquet(path)
    return path


@pytest.fixture
def airports(tmp_path: Path) -> Path:
    """Two airports, as CSV, with another name for the key."""
    path = tmp_path / "airports.csv"
    path.write_text("faa,city\nJFK,New York\nEWR,Newark\n")
    return path
