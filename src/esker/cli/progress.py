"""Bars on the terminal, one an operator: what is done, of how much, and how long it will take."""

from __future__ import annotations

import sys
import threading

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from esker.core.byte_size import format_bytes


class Bars:
    """Implements esker.core.progress.Progress with rich; any thread may advance.

    A query that closes its progress takes its bars away; the next one that advances starts new ones.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._lock = threading.Lock()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        """Show that `operator` has `done` of `total` `unit`."""
        with self._lock:
            bars = self._bars or self._start()
            if operator not in self._tasks:
                self._tasks[operator] = bars.add_task(operator, total=total, unit=unit)
            bars.update(self._tasks[operator], completed=done, total=total)

    def close(self) -> None:
        """Take the bars away."""
        with self._lock:
            bars, self._bars, self._tasks = self._bars, None, {}
        if bars is not None:
            bars.stop()

    def _start(self) -> Progress:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            _Amount(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._bars.start()
        return self._bars


class _Amount(ProgressColumn):
    """`1,200 of 3,400 rows`."""

    def render(self, task: Task) -> Text:
        unit = str(task.fields.get("unit", ""))
        done = amount(task.completed, unit)
        return Text(f"{done} of {amount(task.total, unit)}" if task.total else done)


def amount(value: float, unit: str) -> str:
    """Write a number of rows, bytes or seconds.

    >>> amount(1200, "rows"), amount(2048, "bytes"), amount(2.5, "seconds")
    ('1,200 rows', '2.0 KiB', '2.5 seconds')
    """
    if unit == "bytes":
        return format_bytes(value)
    return f"{value:,.0f} {unit}" if unit == "rows" else f"{value:,.1f} {unit}"
