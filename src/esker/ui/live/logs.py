"""The logs that a page shows: one file, or those of a folder, each read once however many look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esker.errors import InputFileError
from esker.ui.live.log_tail import LOG_LIMIT_BYTES, LogTail, last_event
from esker.ui.live.run import Run
from esker.ui.live.summary_part import ENDS, RUNNING

LOGS_MAX = 300
RUNS_MAX = 200
LOG_SUFFIX = ".jsonl"
# What the folder of a cluster on this machine has; its processes keep their logs in folders of their own.
CLUSTER_FILE, CLUSTER_LOG = "cluster.json", "coordinator.jsonl"


@dataclass
class Log:
    """One file, its queries, and which of them the first one kept is."""

    tail: LogTail
    runs: list[Run] = field(default_factory=list)
    dropped: int = 0
    generation: int = 0

    def follow(self) -> bool:
        """Take what is new, a few megabytes of it; say whether there was anything."""
        records = self.tail.read()
        if self.tail.generation != self.generation:
            self.generation, self.runs, self.dropped = self.tail.generation, [], 0
        for record in records:
            self._take(record)
        return bool(records)

    def _take(self, record: Mapping[str, Any]) -> None:
        if record.get("event") == "log_opened" or not self.runs:
            if self.runs:
                self.runs[-1].lost()
            self.runs.append(Run())
            if len(self.runs) > RUNS_MAX:
                del self.runs[0]
                self.dropped += 1
        self.runs[-1].take(record)

    def about(self) -> str:
        """What is to be said of the file itself, as JSON text."""
        tail = self.tail
        return json.dumps(
            {
                "name": tail.path.name,
                "size": tail.size,
                "modified": tail.modified,
                "problem": tail.problem,
                "runs": len(self.runs) + self.dropped,
                "first_run": self.dropped,
            },
            separators=(",", ":"),
        )


class Logs:
    """Logs by name. A name is looked up among the files that are there and never made a path of.

    Raises InputFileError when `place` is not there.
    """

    def __init__(self, place: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
        if not place.exists():
            raise InputFileError(
                f"no event log and no folder of logs at {place}; a query writes one with log= or --log"
            )
        self.place = place
        self._limit_bytes = limit_bytes
        self._logs: dict[str, Log] = {}
        self._ends: dict[str, tuple[tuple[int, float], str]] = {}
        self._found: dict[str, Path] = {}
        self.listing = "[]"
        self.scan()

    def scan(self) -> None:
        """Look which logs there are; the one written to last comes first."""
        found = []
        for path in self._files():
            try:
                stat = path.stat()
            except OSError:  # taken away meanwhile
                continue
            found.append((stat.st_mtime, stat.st_size, path))
        found.sort(key=lambda one: (-one[0], one[2].name))
        del found[LOGS_MAX:]
        self._found = {path.name: path for _, _, path in found}
        for gone in self._logs.keys() - self._found.keys():
            del self._logs[gone]
        rows = [
            {"name": path.name, "size": size, "modified": modified, "state": self._state(path, size, modified)}
            for modified, size, path in found
        ]
        self.listing = json.dumps(rows, separators=(",", ":"))

    def newest(self) -> str | None:
        """The log that was written to last; of a cluster its coordinator's, which tells of all."""
        return CLUSTER_LOG if CLUSTER_LOG in self._found else next(iter(self._found), None)

    def find(self, name: str) -> Log | None:
        """The log of that name, or None."""
        path = self._found.get(name)
        if path is None:
            return None
        if name not in self._logs:
            self._logs[name] = Log(LogTail(path, self._limit_bytes))
        return self._logs[name]

    def _files(self) -> list[Path]:
        if not self.place.is_dir():
            return [self.place]
        patterns = ("*", "*/*") if (self.place / CLUSTER_FILE).is_file() else ("*",)
        return [path for one in patterns for path in self.place.glob(f"{one}{LOG_SUFFIX}") if path.is_file()]

    def _state(self, path: Path, size: int, modified: float) -> str:
        known = self._ends.get(path.name)
        if known is None or known[0] != (size, modified):
            known = self._ends[path.name] = ((size, modified), ENDS.get(last_event(path), RUNNING))
        return known[1]
