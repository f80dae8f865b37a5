"""Progress on a terminal: a bar for each operator, and below them memory, spill and what is being restored."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any, TextIO

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
from rich.table import Column
from rich.text import Text

from esker.core.byte_size import format_bytes
from esker.core.plan_words import short

# A run that was over sooner needs no line of its own.
LINE_SECONDS = 2.0


class Bars:
    """Implements esker.core.progress.Watcher with rich; any thread may tell it something.

    A query that closes its progress takes its bars away; the next one that tells something starts new ones.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._lock = threading.Lock()
        self._bars: Progress | None = None
        self._tasks: dict[object, TaskID] = {}

    def watch(self, event: Mapping[str, Any]) -> None:
        """Show what an event of the log says, if it is about progress."""
        name = event["event"]
        if name == "operator":
            self._operator(event)
        elif name == "work":
            self._show(event["operator"], event["operator"], event["done"], event["total"], _work_words(event))
        elif name == "recall":
            total = len(event["extents"])
            words = f"0 of {total:,} restored, {format_bytes(sum(event['extent_bytes']))}"
            self._show("restore", "restore", 0, total, words)
        elif name == "recall_waiting":
            words = f"{event['ready']:,} of {event['total']:,} restored"
            self._show("restore", "restore", event["ready"], event["total"], words)
        elif name == "memory":
            self._show("memory", "memory", event["held_bytes"], event["budget_bytes"], memory_words(event))

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        """Show that `operator` has `done` of `total` `unit`."""
        self._show(operator, operator, done, total, _work_words({"done": done, "total": total, "unit": unit}))

    def close(self) -> None:
        """Take the bars away."""
        with self._lock:
            bars, self._bars, self._tasks = self._bars, None, {}
        if bars is not None:
            bars.stop()

    def _operator(self, event: Mapping[str, Any]) -> None:
        partitions = event["partitions"]
        done, total = event["partitions_done"], partitions
        # One partition says nothing of how far it is: its bar moves to and fro.
        if partitions == 1:
            done, total = (1, 1) if event["done"] else (0, None)
        self._show(("step", event["step"]), event["operator"], done, total, operator_words(event))

    def _show(self, key: object, name: str, done: float, total: float | None, words: str) -> None:
        with self._lock:
            bars = self._bars or self._start()
            if key not in self._tasks:
                self._tasks[key] = bars.add_task(short(name, 30), total=total, words=words)
            bars.update(self._tasks[key], completed=done, total=total, words=words)

    def _start(self) -> Progress:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            _Words(table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._bars.start()
        return self._bars


class Line:
    """One line when a query has ended, for logs and pipes: rows, time, memory, spill; none for a short run."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._rows: int | None = None
        self._begin()

    def watch(self, event: Mapping[str, Any]) -> None:
        """Keep what the line will say."""
        name = event["event"]
        if name == "operator" and event["step"] == 0:
            self._rows = event["rows"]
        elif name == "memory":
            self._peak_bytes, self._budget_bytes = event["peak_held_bytes"], event["budget_bytes"]
            self._spilled_bytes = event["spilled_bytes"]
        self._seconds = event["seconds"]

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        """Nothing: the log says it all."""

    def close(self) -> None:
        """Write the line, if the query took a while."""
        if self._seconds >= LINE_SECONDS:
            rows = f"{self._rows:,} rows in " if self._rows is not None else ""
            spilled = f", spilled {format_bytes(self._spilled_bytes)}" if self._spilled_bytes else ""
            memory = f"{format_bytes(self._peak_bytes)} of {format_bytes(self._budget_bytes)} memory"
            print(f"{rows}{self._seconds:,.1f} s, at most {memory}{spilled}", file=self._stream)
        self._begin()

    def _begin(self) -> None:
        self._seconds = 0.0
        self._rows = None
        self._peak_bytes = self._budget_bytes = self._spilled_bytes = 0


class _Words(ProgressColumn):
    """Rows, bytes and spill, as they were told."""

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("words", "")))


def operator_words(event: Mapping[str, Any]) -> str:
    """What an operator has done.

    >>> operator_words({"rows": 1200, "rows_in": 3400, "bytes": 2048, "spilled_bytes": 0})
    '1,200 of 3,400 rows, 2.0 KiB'
    >>> operator_words({"rows": 0, "rows_in": 500, "bytes": 0, "spilled_bytes": 4096})
    '500 rows in, 4.0 KiB spilled'
    """
    rows, taken = event["rows"], event["rows_in"]
    if not rows and taken:
        words = f"{taken:,} rows in"
    else:
        words = f"{rows:,} of {taken:,} rows" if taken is not None and taken > rows else f"{rows:,} rows"
    size = f", {format_bytes(event['bytes'])}" if event["bytes"] else ""
    spilled = f", {format_bytes(event['spilled_bytes'])} spilled" if event["spilled_bytes"] else ""
    return words + size + spilled


def memory_words(event: Mapping[str, Any]) -> str:
    """Memory against the budget, and what lies in spill files.

    >>> memory_words({"held_bytes": 1 << 20, "budget_bytes": 1 << 26, "spill_bytes": 4096})
    '1.0 MiB of 64.0 MiB, 4.0 KiB on disk'
    """
    spill = f", {format_bytes(event['spill_bytes'])} on disk" if event["spill_bytes"] else ""
    return f"{format_bytes(event['held_bytes'])} of {format_bytes(event['budget_bytes'])}{spill}"


def _work_words(event: Mapping[str, Any]) -> str:
    done = amount(event["done"], event["unit"])
    return f"{done} of {amount(event['total'], event['unit'])}" if event["total"] else done


def amount(value: float, unit: str) -> str:
    """Write a number of rows, bytes or seconds.

    >>> amount(1200, "rows"), amount(2048, "bytes"), amount(2.5, "seconds")
    ('1,200 rows', '2.0 KiB', '2.5 seconds')
    """
    if unit == "bytes":
        return format_bytes(value)
    return f"{value:,.1f} {unit}" if unit == "seconds" else f"{value:,.0f} {unit}"


def bars_for_a_terminal() -> Bars | None:
    """Bars where someone looks at stderr; None in a pipe or a file."""
    return Bars() if sys.stderr.isatty() else None
