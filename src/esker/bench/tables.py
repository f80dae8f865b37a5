"""An evaluation as tables: for a terminal, and as Markdown for the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from esker.bench.document import Column, Evaluation, Section
from esker.core.byte_size import format_bytes

BEGIN = "<!-- esker bench shuffle --markdown: begin -->"
END = "<!-- esker bench shuffle --markdown: end -->"
NOT_THERE = "-"


def print_section(console: Console, section: Section) -> None:
    """Print a section's table and notes."""
    table = Table(title=Text(section.title), title_justify="left")
    for column in section.columns:
        table.add_column(Text(column.heading), justify="left" if column.form == "text" else "right")
    for row in section.rows:
        table.add_row(*(Text(written(row, column)) for column in section.columns))
    console.print(table)
    for note in section.notes:
        console.print(f"  {note}", markup=False, highlight=False)
    console.print()


def written(row: Mapping[str, Any], column: Column) -> str:
    """A cell as it is read.

    >>> row = {"n": 1234567, "r": 0.4567, "b": 2048, "x": None, "c": False}
    >>> [written(row, Column(name, name, form)) for name, form in
    ...  [("n", "count"), ("r", "ratio"), ("b", "bytes"), ("x", "ratio"), ("c", "text")]]
    ['1,234,567', '0.46', '2.0 KiB', '-', 'no']
    """
    value = row[column.name]
    if value is None:
        return NOT_THERE
    if isinstance(value, bool):
        return "yes" if value else "no"
    match column.form:
        case "count":
            return f"{value:,}"
        case "ratio":
            return f"{value:.2f}"
        case "number":
            return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
        case "bytes":
            return format_bytes(value)
        case _:
            return str(value)


def machine_words(machine: Mapping[str, Any]) -> str:
    """The machine in a sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores ({caches or 'caches unknown'}),"
        f" {format_bytes(machine['memory_bytes'])}; {machine['system']}; Python {machine['python']}, {packages}"
    )


def markdown(evaluation: Evaluation) -> str:
    """All of it between two markers, for docs/shuffle.md."""
    parts = [BEGIN, "", machine_words(evaluation.machine) + ".", "", settings_words(evaluation.settings), ""]
    for section in evaluation.sections:
        parts += [f"### {section.title}", "", *_table(section.columns, section.rows), ""]
        parts += [f"{note}\n" for note in section.notes]
    return "\n".join([*parts, END])


def settings_words(settings: Mapping[str, Any]) -> str:
    """What was asked for, in a sentence.

    >>> settings_words({"rows": None, "cell_bytes": 1 << 26, "rounds": 5})
    '64.0 MiB of tuples a cell, 5 rounds that count; ratios are medians.'
    """
    size = f"{settings['rows']:,} tuples" if settings["rows"] else f"{format_bytes(settings['cell_bytes'])} of tuples"
    return f"{size} a cell, {settings['rounds']} rounds that count; ratios are medians."


def _table(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| " + " | ".join(column.heading for column in columns) + " |"]
    lines.append("| " + " | ".join("---" if column.form == "text" else "---:" for column in columns) + " |")
    lines += ["| " + " | ".join(written(row, column) for column in columns) + " |" for row in rows]
    return lines
