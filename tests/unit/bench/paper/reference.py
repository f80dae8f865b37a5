"""The reference series, read from reference.md."""

from __future__ import annotations

from pathlib import Path

Row = dict[str, float | str]


def reference(title: str) -> list[Row]:
    """The rows of the table under a title, by heading."""
    text = Path(__file__).with_name("reference.md").read_text(encoding="utf-8")
    lines = text[text.index(f"\n{title}") + 1 :].splitlines()[1:]
    table = []
    for line in lines:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
        elif table:
            break
    return [dict(zip(table[0], map(_value, row), strict=True)) for row in table[2:]]


def tolerance(value: float) -> float:
    """Half of the last of three digits, or half a second: how far a rounded value may be from what it was."""
    if value >= 100:
        return 0.5000001
    digits = len(f"{value:.3g}".partition(".")[2])
    return 0.5000001 * 10**-digits if digits or value < 100 else 0.5


def _value(cell: str) -> float | str:
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return cell
