"""Where a check is silenced, or any error is passed over, the reason stands beside it."""

from __future__ import annotations

import re

import pytest

from tests.unit.house.project import ROOT

SOURCES = sorted((ROOT / "src/esker").rglob("*.py"))
# `except Exception` that does not raise again is a lint error (BLE001), so that it comes with a `noqa` and its reason.
SILENCED = re.compile(r"#\s*(?:type: ignore\[[^\]]*\]|noqa: [A-Z0-9, ]*[A-Z0-9])(?P<reason>.*)$")
SWALLOWED = re.compile(r"suppress\((?:Base)?Exception\)")


def unexplained(text: str) -> list[str]:
    lines = text.splitlines()
    return [line.strip() for before, line in zip(["", *lines], lines, strict=False) if not explained(line, before)]


def explained(line: str, before: str) -> bool:
    if silenced := SILENCED.search(line):
        return re.search(r"[a-z]{3}", silenced["reason"]) is not None
    return not SWALLOWED.search(line) or "#" in line or before.lstrip().startswith("#")


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # noqa: E731",
        "y = f()  # type: ignore[misc]",
        "with suppress(Exception):",
        "except E:  # noqa: BLE001 -",
    ],
)
def test_a_line_without_a_reason_is_found(line: str) -> None:
    assert unexplained(line) == [line]
    assert unexplained(f"{line}  # for a reason") == []


def test_every_silenced_check_has_its_reason() -> None:
    assert SOURCES
    found = {str(path): lines for path in SOURCES if (lines := unexplained(path.read_text(encoding="utf-8")))}
    assert found == {}


def test_no_handler_passes_over_errors_without_a_word() -> None:
    empty = re.compile(r"^\s*except[^\n]*:\n\s*pass\s*$", re.MULTILINE)
    assert [str(path) for path in SOURCES if empty.search(path.read_text(encoding="utf-8"))] == []
