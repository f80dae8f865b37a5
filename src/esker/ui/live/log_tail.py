"""Reading a log while it is written: whole lines as they come, within a limit, and from the start if it is replaced."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

from esker.core.byte_size import format_bytes
from esker.core.event_log import EVENT_SCHEMA

# Read at one time, so that whoever waits for another log is not kept waiting for long.
STEP_BYTES = 4 << 20
# The longest line: a plan that touches a hundred thousand row groups has about this.
LINE_BYTES_MAX = 8 << 20
LOG_LIMIT_BYTES = 256 << 20

Record = dict[str, Any]


class LogTail:
    """The events of one file from where the last `read` ended.

    What is wrong with the file stands in `problem`, and nothing more is read from then on. A line without its end is
    kept until the rest of it comes: a writer may be in the middle of it, or was killed there. When the file was cut or
    replaced, `generation` is one more, and all is read again.
    """

    def __init__(self, path: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
        self.path = path
        self.limit_bytes = limit_bytes
        self.generation = 0
        self.problem: str | None = None
        self.size = 0
        self.modified = 0.0
        self._identity: tuple[int, int] | None = None
        self._begin()

    def _begin(self) -> None:
        self._offset = 0
        self._line = 0
        self._rest = b""
        self.problem = None

    def read(self) -> list[Record]:
        """Give the events of the next few megabytes; an empty list when there is nothing new."""
        try:
            # Without waiting: a pipe of that name would never answer.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            self.problem = f"cannot read {self.path.name}: {error.strerror}"
            return []
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                self.problem = f"{self.path.name} is no file"
                return []
            identity = (found.st_dev, found.st_ino)
            if identity != self._identity or found.st_size < self._offset:
                if self._identity is not None:
                    self.generation += 1
                self._identity = identity
                self._begin()
            self.size, self.modified = found.st_size, found.st_mtime
            if self.problem is not None or self._offset >= found.st_size:
                return []
            file.seek(self._offset)
            data = file.read(STEP_BYTES)
        self._offset += len(data)
        return self._events(data)

    def _events(self, data: bytes) -> list[Record]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = []
        try:
            for line in lines:
                self._line += 1
                events.append(self._event(line))
            if len(self._rest) > LINE_BYTES_MAX:
                self._line += 1
                _refuse(f"longer than {format_bytes(LINE_BYTES_MAX)}")
            if self._offset > self.limit_bytes:
                self.problem = (
                    f"{self.path.name} is larger than {format_bytes(self.limit_bytes)}, the rest is not shown; "
                    "--log-limit raises it"
                )
        except ValueError as error:
            self.problem = f"{self.path.name}, line {self._line:,}: {error}; what comes after is not shown"
        return events

    def _event(self, line: bytes) -> Record:
        if len(line) > LINE_BYTES_MAX:
            _refuse(f"longer than {format_bytes(LINE_BYTES_MAX)}")
        try:
            record = json.loads(line.decode("utf-8"), parse_constant=_refuse)
        except UnicodeDecodeError:
            _refuse("not UTF-8")
        except RecursionError:
            _refuse("nested too deeply")
        except ValueError:
            _refuse("not a JSON line")
        if not isinstance(record, dict):
            _refuse("not a JSON object")
        if record.get("v") != EVENT_SCHEMA:
            _refuse(f"event schema {str(record.get('v'))[:20]}, this Esker reads {EVENT_SCHEMA}")
        return record


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def last_event(path: Path) -> str:
    """The name of the last event in a file, read from its end; "" when there is none to be seen.

    >>> last_event(Path("no such file"))
    ''
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - (256 << 10)))
            lines = file.read().split(b"\n")[:-1]
        record = json.loads(lines[-1]) if lines else None
    except (OSError, ValueError, RecursionError):
        return ""
    return str(record.get("event", "")) if isinstance(record, dict) else ""
