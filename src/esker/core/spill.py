"""Spill folders: private, capped, removed at the end, swept after a crash."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from esker.core.byte_size import format_bytes, parse_bytes
from esker.errors import SpillError

_PREFIX = "esker-spill-"


def spill_root() -> Path:
    """Where spill folders go: ESKER_SPILL_FOLDER, or the system's folder for temporary files."""
    return Path(os.environ.get("ESKER_SPILL_FOLDER") or tempfile.gettempdir())


class SpillFolder:
    """A folder of one query: 0700, its files 0600, locked while the query lives.

    >>> with SpillFolder(limit="1MiB") as folder:
    ...     path, fd = folder.new_file("pages")
    ...     os.close(fd)
    ...     path.exists()
    True
    >>> path.exists()
    False

    The lock tells a sweeping process that the folder is in use; a crash frees it, and the next query that makes a
    spill folder in the same place removes what was left.
    """

    def __init__(self, *, root: Path | None = None, limit: int | str | None = None) -> None:
        self.root = root or spill_root()
        self.limit_option = limit
        self._path: Path | None = None
        self._lock_fd = -1
        self._files = 0

    @property
    def path(self) -> Path:
        """The folder, made on first use."""
        if self._path is None:
            self._make()
        assert self._path is not None
        return self._path

    @property
    def limit_bytes(self) -> int:
        """The cap: the limit given, or nine tenths of what the disk has free."""
        if self.limit_option is not None:
            return parse_bytes(self.limit_option, "spill_limit")
        try:
            stat = os.statvfs(self._path or self.root)  # asked for in planning, too, when there is no folder yet
        except OSError as error:
            raise self.failure(error) from error
        return stat.f_bavail * stat.f_frsize * 9 // 10

    @property
    def room_bytes(self) -> int:
        """How much may still be written: the cap less what the folder holds."""
        if self.limit_option is None:
            return self.limit_bytes
        return self.limit_bytes - self._used()

    @property
    def held_bytes(self) -> int:
        """What the files in the folder hold now."""
        return self._used() if self._path is not None else 0

    def new_file(self, name: str) -> tuple[Path, int]:
        """Create a private file and return its path and an open descriptor (the caller closes it)."""
        self._files += 1
        path = self.path / f"{name}-{self._files}"
        return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def failure(self, error: OSError, bytes_wanted: int = 0) -> SpillError:
        """The error to raise when spilling fails: folder, bytes, what to change."""
        what = f"writing {format_bytes(bytes_wanted)} of spill" if bytes_wanted else "spilling"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full and self.limit_option is not None and self._has_room(bytes_wanted):
            return SpillError(
                f"{what} to {self.root} would pass spill_limit={self.limit_option}; raise spill_limit= or memory="
            )
        reason = "no space left" if full else (error.strerror or str(error))
        return SpillError(
            f"{what} to {self.root} failed: {reason}; free space there, set ESKER_SPILL_FOLDER to another disk,"
            " or raise memory="
        )

    def close(self) -> None:
        """Remove the folder and all in it; calling it again does nothing."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def __enter__(self) -> SpillFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _used(self) -> int:
        used = 0
        with suppress(FileNotFoundError):  # the query ends
            for path in self.path.iterdir():
                with suppress(FileNotFoundError):  # another thread is done with it
                    used += path.stat().st_size
        return used

    def _has_room(self, bytes_wanted: int) -> bool:
        stat = os.statvfs(self.root)
        return stat.f_bavail * stat.f_frsize > bytes_wanted

    def _make(self) -> None:
        try:
            sweep(self.root)
            made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self.root))
            # Locked before it has its name: another process that sweeps right now must not find it free.
            self._lock_fd = os.open(made / "lock.new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
            (made / "lock.new").rename(made / "lock")
        except OSError as error:
            raise self.failure(error) from error
        self._path = made


def sweep(root: Path) -> list[Path]:
    """Remove spill folders of ours whose query is gone; returns them.

    A folder with no lock file yet is being made by someone else right now, and is left alone.
    """
    swept = []
    for folder in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_uid != os.getuid():
                continue
            fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                swept.append(folder)
            finally:
                os.close(fd)
    return swept
