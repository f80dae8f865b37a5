"""docs/paper-joins.md has what the commands print, to the digit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.cli.command import Run

PAGE = Path(__file__).parents[3] / "docs" / "paper-joins.md"


def block(command: str) -> str:
    begin, end = (f"<!-- esker {command} --markdown: {word} -->" for word in ("begin", "end"))
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index(begin) : text.index(end) + len(end)]


def test_the_tables_of_today_are_those_of_the_command(run: Run) -> None:
    assert block("simulate today") == run("simulate", "today", "--markdown").out.rstrip("\n")


def test_the_claims_and_what_needs_no_operator_are_those_of_the_command(run: Run) -> None:
    printed = run("bench", "paper", "--extents-only", "--markdown").out
    written = block("bench paper")
    assert _without_operators(written) == _without_operators(printed.rstrip("\n"))


@pytest.mark.parametrize("arms", [2, 8])
def test_the_library_is_that_of_the_command(run: Run, arms: int) -> None:
    text = PAGE.read_text(encoding="utf-8")
    lines = [line.rstrip() for line in run("simulate", "library", "--arms", arms).out.splitlines() if line.strip()]
    assert "\n".join(lines) in text


@pytest.mark.slow
def test_the_operators_are_those_of_the_command(run: Run) -> None:
    assert block("bench paper") == run("bench", "paper", "--markdown").out.rstrip("\n")


def _without_operators(text: str) -> list[list[str]]:
    """The lines as cells, without the columns whose heading speaks of the operator."""
    kept: list[list[str]] = []
    places: list[int] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if not line.startswith("|"):
            places = []
        elif not places:
            places = [place for place, cell in enumerate(cells) if "operator" not in cell]
        kept.append([cells[place] for place in places] if places else cells)
    return kept
