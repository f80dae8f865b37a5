"""An evaluation as tables: for a terminal, and as Markdown for the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from esker.bench.document import Column, Evaluation, Pivot, Section
from esker.core.byte_size import format_bytes

BEGIN = "<!-- esker bench shuffle --markdown: begin -->"
END = "<!-- esker bench shuffle --markdown: end -->"
NOT_THERE = "-"


@dataclass(frozen=True)
class Shown:
    """A table as it is shown; `texts` counts the first columns, which are words."""

    title: str
    headings: Sequence[str]
    texts: Sequence[bool]
    rows: Sequence[Sequence[str]]


def tables_of(section: Section) -> list[Shown]:
    """A section's tables: one with all columns, or those of its pivot."""
    if section.pivot is not None:
        return _pivoted(section, section.pivot)
    rows = [[written(row, column) for column in section.columns] for row in section.rows]
    texts = [column.form == "text" for column in section.columns]
    return [Shown("", [column.heading for column in section.columns], texts, rows)]


def _pivoted(section: Section, pivot: Pivot) -> list[Shown]:
    columns = {column.name: column for column in section.columns}
    panels: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, str]]] = {}
    for row in section.rows:
        words = {name: written(row, column) for name, column in columns.items()}
        lines = panels.setdefault(tuple(words[name] for name in pivot.panels), {})
        line = lines.setdefault(tuple(words[name] for name in pivot.rows), {})
        line[words[pivot.across]] = pivot.cell.format_map(words)
    shown = []
    for values, lines in panels.items():
        title = ", ".join(f"{columns[name].heading}: {value}" for name, value in zip(pivot.panels, values, strict=True))
        across = list(dict.fromkeys(value for line in lines.values() for value in line))
        names = [columns[name].heading for name in pivot.rows]
        rows = [[*name, *(line.get(value, NOT_THERE) for value in across)] for name, line in lines.items()]
        texts = [True] * len(names) + [False] * len(across)
        shown.append(Shown(title, [*names, *across], texts, rows))
    return shown


def print_section(console: Console, section: Section) -> None:
    """Print a section's tables and notes."""
    console.print(section.title, markup=False, highlight=False, style="bold")
    for shown in tables_of(section):
        table = Table(title=Text(shown.title) if shown.title else None, title_justify="left")
        for heading, is_text in zip(shown.headings, shown.texts, strict=True):
            table.add_column(Text(heading), justify="left" if is_text else "right")
        for row in shown.rows:
            table.add_row(*map(Text, row))
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
        disturbed = "" if value else "~"
        return disturbed if column.form == "disturbed" else "yes" if value else "no"
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
        parts += section_markdown(section)
    return "\n".join([*parts, END])


def section_markdown(section: Section) -> list[str]:
    """A section as lines of Markdown: its heading, its tables and its notes."""
    parts = [f"### {section.title}", ""]
    for shown in tables_of(section):
        parts += [f"{shown.title}\n"] if shown.title else []
        parts += [*_table(shown), ""]
    return parts + [f"{note}\n" for note in section.notes]


def settings_words(settings: Mapping[str, Any]) -> str:
    """What was asked for, in a sentence.

    >>> settings_words({"rows": None, "cell_bytes": 1 << 26, "rounds": 5})
    '64.0 MiB of tuples a cell, 5 rounds that count; ratios are medians.'
    """
    size = f"{settings['rows']:,} tuples" if settings["rows"] else f"{format_bytes(settings['cell_bytes'])} of tuples"
    return f"{size} a cell, {settings['rounds']} rounds that count; ratios are medians."


def _table(shown: Shown) -> list[str]:
    marks = ["---" if is_text else "---:" for is_text in shown.texts]
    return ["| " + " | ".join(line) + " |" for line in (shown.headings, marks, *shown.rows)]
