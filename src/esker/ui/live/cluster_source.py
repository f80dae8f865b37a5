"""The status of a cluster from outside the log: a JSON file that is read again when it changes."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path

from esker.errors import InputFileError
from esker.ui.live.cluster_part import members_of, ring_json

STATUS_BYTES_MAX = 8 << 20


class ClusterSource:
    """A file with the fields of `cluster_ring` (docs/formats/event-log.md); `shown` is what the page is told.

    Raises InputFileError when the file cannot be read at first; later the page says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self.shown = "null"
        if (problem := self.look()) is not None:
            raise InputFileError(problem)

    def look(self) -> str | None:
        """Read the file if it changed; say what is wrong with it, or None."""
        try:
            problem = self._read()
        except OSError as error:
            problem = f"cannot read the status of the cluster, {self._path}: {error.strerror}"
        except (ValueError, RecursionError):
            problem = f"{self._path} is not the status of a cluster: no JSON"
        if problem is not None:
            self._seen = None
            self.shown = json.dumps({"problem": problem})
        return problem

    def _read(self) -> str | None:
        found = self._path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > STATUS_BYTES_MAX:
            return f"{self._path} is not the status of a cluster: no file of at most {STATUS_BYTES_MAX >> 20} MiB"
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return None
        content = json.loads(self._path.read_text(encoding="utf-8"))
        status = ring_json(content, members_of(content)) if isinstance(content, Mapping) else None
        if status is None:
            return f"{self._path} is not the status of a cluster: it names no nodes"
        self._seen = seen
        self.shown = json.dumps({"status": status}, separators=(",", ":"), allow_nan=False)
        return None
