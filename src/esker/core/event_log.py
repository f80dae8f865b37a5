"""The event log: what a query did, as JSON lines with a schema version. Progress, reports and pages read this."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.errors import InputFileError

EVENT_SCHEMA = 1
Listener = Callable[[Mapping[str, Any]], None]


class EventLog:
    """Append-only events, kept for listeners and, given a path, in a file.

    >>> seen = []
    >>> log = EventLog(clock=__import__("esker.core.clock", fromlist=["VirtualClock"]).VirtualClock())
    >>> log.listen(seen.append)
    >>> log.emit("operator_rows", operator="scan", rows=10)
    >>> seen[0]["event"], seen[0]["rows"], seen[0]["v"]
    ('operator_rows', 10, 1)

    Each line has `v` (schema version), `seconds` (since the log was opened), `event` and the event's own fields.
    Threads may emit at any time; listeners run in the emitting thread and must be quick.
    """

    def __init__(self, path: Path | None = None, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._start = clock.seconds()
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._file: TextIO | None = None
        if path is not None:
            try:
                self._file = path.open("a", encoding="utf-8")
            except OSError as error:
                raise InputFileError(f"cannot write the event log {path}: {error.strerror}") from error
            self.emit("log_opened", wall_seconds=clock.wall_seconds())

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every event from now on."""
        self._listeners.append(listener)

    def emit(self, event: str, **fields: Any) -> None:
        """Record an event; fields must be plain JSON values."""
        if not self._listeners and self._file is None:
            return
        record = {
            "v": EVENT_SCHEMA,
            "seconds": round(self._clock.seconds() - self._start, 6),
            "event": event,
            **fields,
        }
        with self._lock:
            if self._file is not None:
                self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
                self._file.flush()
        for listener in self._listeners:
            listener(record)

    def close(self) -> None:
        """Close the file; calling it again does nothing."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def read_events(path: Path) -> list[dict[str, Any]]:
    """Read a log back; a torn last line (a killed writer) is dropped, any other bad line is an error."""
    events: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as error:
        raise InputFileError(f"cannot read the event log {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise InputFileError(f"{path}:{number}: not a JSON line") from error
        if not isinstance(record, dict) or record.get("v") != EVENT_SCHEMA:
            raise InputFileError(f"{path}:{number}: event schema {record.get('v')!r}; this Esker reads {EVENT_SCHEMA}")
        events.append(record)
    return events
