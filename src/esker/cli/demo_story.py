"""The demo tells what it does once, and it comes out three times: on the terminal, as a page, as JSON."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as TerminalTable
from rich.text import Text

from esker.cli.plain import cell
from esker.core.byte_size import format_bytes
from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.ui import Bars, Costs, Plan, Report, Step, Table, Timeline, Words, write_report
from esker.ui.numbers import format_seconds

# With label and note it fits a terminal of 80.
BAR_CHARACTERS = 24


class Story:
    """Steps, each with words, tables, bars and plans; `figures` collects what `--json` prints."""

    def __init__(self, console: Console, title: str, subtitle: str) -> None:
        self._console = console
        self._report = Report(title, subtitle)
        self.figures: list[dict[str, Any]] = []

    def step(self, name: str, title: str, *functions: Callable[..., Any]) -> None:
        """Begin a step; the page shows the source of `functions`."""
        code = "\n\n".join(inspect.getsource(function).rstrip() for function in functions)
        self._report.steps.append(Step(title, code=code))
        self.figures.append({"step": name, "title": title})
        self._console.print()
        self._console.rule(Text(f"{len(self.figures)}  {title}"), align="left")

    def figure(self, name: str, value: Any) -> None:
        """Keep a figure of this step for `--json`."""
        self.figures[-1][name] = value

    def say(self, words: str) -> None:
        """Say a sentence."""
        self._report.steps[-1].parts.append(Words(words))
        self._console.print(Text(words))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show rows."""
        self._report.steps[-1].parts.append(Table(title, columns, rows))
        self._show(title, _terminal_table(columns, [[_number(value) for value in row] for row in rows], rows))

    def costs(self, title: str, costs: Sequence[tuple[str, Cost | None]]) -> None:
        """Show costs under one another."""
        known = [(name, cost) for name, cost in costs if cost is not None]
        self.figure("costs", {name: cost.to_json() for name, cost in known})
        self._report.steps[-1].parts.append(Costs(title, [(name, cost.to_json()) for name, cost in known]))
        rows = [
            [name, format_bytes(cost.bytes), f"{cost.requests:,}", f"{cost.mounts:,}", format_seconds(cost.seconds)]
            for name, cost in known
        ]
        columns = ["", "bytes", "requests", "mounts", "time"]
        self._show(title, _terminal_table(columns, rows, [["", 0, 0, 0, 0]]))

    def bars(self, title: str, bars: Sequence[tuple[str, float, str]]) -> None:
        """Show lengths."""
        self._report.steps[-1].parts.append(Bars(title, bars))
        longest = max((length for _, length, _ in bars), default=0.0) or 1.0
        table = TerminalTable(box=None, show_header=False)
        for label, length, note in bars:
            width = max(round(length / longest * BAR_CHARACTERS), 1) if length else 0
            table.add_row(Text(label), Text("█" * width, style="cyan"), Text(note))
        self._show(title, table)

    def plan(self, title: str, explanation: Explanation) -> None:
        """Keep a plan for the page; the terminal has its costs and reason."""
        self._report.steps[-1].parts.append(Plan(title, explanation.to_json()))
        self.figures[-1].setdefault("plans", {})[title] = explanation.to_json()

    def timeline(self, title: str, explanation: Explanation) -> None:
        """Draw what the devices did in this run, on the page."""
        events = [event for step in explanation.walk() for event in step.timeline]
        if events:
            self._report.steps[-1].parts.append(Timeline(title, events))

    def _show(self, title: str, table: TerminalTable) -> None:
        # Not as the table's title, which would be broken to the table's width.
        self._console.print(Text(title, style="bold"))
        self._console.print(table)

    def write(self, path: Path) -> None:
        """Write the page."""
        write_report(self._report, path)


def _number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else cell(value)


def _terminal_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], values: Sequence[Sequence[Any]]
) -> TerminalTable:
    table = TerminalTable(box=None, header_style="dim")
    for index, name in enumerate(columns):
        number = any(isinstance(row[index], int | float) for row in values)
        table.add_column(Text(name), justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table
