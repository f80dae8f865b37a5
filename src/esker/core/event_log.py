"""The event log: what a query did, as JSON lines with a schema version. Progress, reports and pages read this."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.version import VERSION
from esker.errors import InputFileError

EVENT_SCHEMA = 1
# A folder in which each query that is run keeps a log of its own, unless it is told where.
LOG_FOLDER_VARIABLE = "ESKER_LOG_DIR"
LOG_SUFFIX = ".jsonl"
Listener = Callable[[Mapping[str, Any]], None]
_numbers = itertools.count(1)


class EventLog:
    """Append-only events, kept for listeners and, given a path, in a file.

    >>> seen = []
    >>> log = EventLog(clock=__import__("esker.core.clock", fromlist=["VirtualClock"]).VirtualClock())
    >>> log.listen(seen.append)
    >>> log.emit("operator", operator="scan", rows=10)
    >>> seen[0]["event"], seen[0]["rows"], seen[0]["v"]
    ('operator', 10, 1)

    Each line has `v` (schema version), `seconds` (since the log was opened), `event` and the event's own fields.
    `opening` are fields of the file's first event. A path that is a folder gets a file of its own for this log, when
    there is a first event. Threads may emit at any time; listeners run in the emitting thread and must be quick.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        opening: Mapping[str, Any] | None = None,
    ) -> None:
        self._clock = clock
        self._start = clock.seconds()
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._opening = dict(opening or {})
        self._file: TextIO | None = None
        self._folder: Path | None = None
        self.path: Path | None = None
        if path is None:
            return
        if path.is_dir():
            self._folder = path
        else:
            self._open(path)

    @property
    def heard(self) -> bool:
        """Whether anyone would see an event."""
        return bool(self._listeners) or self._file is not None or self._folder is not None

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every event from now on."""
        self._listeners.append(listener)

    def emit(self, event: str, **fields: Any) -> None:
        """Record an event; fields must be plain JSON values."""
        if not self.heard:
            return
        with self._lock:
            if self._folder is not None:
                folder, self._folder = self._folder, None
                self._open(folder / self._new_name())
            record = self._record(event, fields)
            self._write(record)
        for listener in self._listeners:
            listener(record)

    def close(self) -> None:
        """Close the file; calling it again does nothing."""
        with self._lock:
            self._folder = None
            if self._file is not None:
                self._file.close()
                self._file = None

    def _open(self, path: Path) -> None:
        try:
            self._file = path.open("a", encoding="utf-8")
            self._write(self._record("log_opened", {"wall_seconds": self._clock.wall_seconds(), **self._opening}))
        except OSError as error:
            file, self._file = self._file, None
            if file is not None:
                with suppress(OSError):
                    file.close()
            raise InputFileError(f"cannot write the event log {path}: {error.strerror}") from error
        self.path = path

    def _new_name(self) -> str:
        """Names sort by time; process and number keep those of one moment apart."""
        from datetime import UTC, datetime

        moment = datetime.fromtimestamp(self._clock.wall_seconds(), UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
        return f"{moment}Z-{os.getpid()}-{next(_numbers)}{LOG_SUFFIX}"

    def _record(self, event: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "v": EVENT_SCHEMA,
            "seconds": round(self._clock.seconds() - self._start, 6),
            "event": event,
            **fields,
        }

    def _write(self, record: Mapping[str, Any]) -> None:
        if self._file is not None:
            # Flushed: a reader that follows the file sees it at once, and a killed writer loses nothing.
            self._file.write(json.dumps(record, separators=(",", ":"), default=str) + "\n")
            self._file.flush()


def default_log_folder() -> Path | None:
    """The folder that ESKER_LOG_DIR names, made when it is not there; None when the variable is not set.

    Raises InputFileError when the folder cannot be made.
    """
    named = os.environ.get(LOG_FOLDER_VARIABLE)
    if not named:
        return None
    return log_folder(Path(named), f"{LOG_FOLDER_VARIABLE}={named}")


def log_folder(folder: Path, named: str) -> Path:
    """The folder, made when it is not there; InputFileError says by what name it was asked for when it cannot be."""
    folder = folder.expanduser()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputFileError(f"{named}: cannot make the folder: {error.strerror}") from error
    return folder


def query_log(log: str | Path | None, runs: bool, opening: Mapping[str, Any]) -> EventLog:
    """The log of one query: `log` is a file, or a folder that is there, or is made, as it ends in `/`.

    Without it the default folder holds those that are run.
    """
    if log is None:
        path = default_log_folder() if runs else None
    elif str(log).endswith("/"):
        path = log_folder(Path(log), str(log))
    else:
        path = Path(log).expanduser()
    if path is None:
        return EventLog()
    return EventLog(path, opening={"esker": VERSION, "process": os.getpid(), **opening})


def recent_logs(folder: Path, count: int = 100) -> list[Path]:
    """The logs in a folder, the youngest first, at most `count`.

    >>> recent_logs(Path("no such folder"))
    []
    """
    found = []
    for path in folder.glob(f"*{LOG_SUFFIX}"):
        try:
            found.append((path.stat().st_mtime_ns, path))
        except OSError:  # taken away meanwhile
            continue
    return [path for _, path in sorted(found, reverse=True)[:count]]


def read_events(path: Path) -> list[dict[str, Any]]:
    """Read a log back; a torn last line (a killed writer) is dropped, any other bad line is an error."""
    events: list[dict[str, Any]] = []
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise InputFileError(f"cannot read the event log {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number or a nesting beyond Python's limits
            if number == len(lines) and not line.endswith(b"\n"):
                break
            raise InputFileError(f"{path}:{number}: not a JSON line") from error
        found = record.get("v") if isinstance(record, dict) else None
        if found != EVENT_SCHEMA:
            raise InputFileError(f"{path}:{number}: event schema {found!r:.80}; this Esker reads {EVENT_SCHEMA}")
        events.append(record)
    return events
