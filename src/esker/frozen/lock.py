"""Who may write and who still reads: advisory locks on folders, which a crash frees by itself."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from esker.errors import InputFileError, LockedError
from esker.frozen.records import KEYS_FOLDER


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the one right to write to `folder`; raises LockedError at once when another process has it."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise InputFileError(f"cannot open the folder {folder}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(f"{folder} is being written by another process; try again when it is done") from None
        _require_same(folder, fd)
        yield
    finally:
        os.close(fd)


def reader_lock(folder: Path, inner: str = KEYS_FOLDER) -> int:
    """Keep files that this reader may still open from being collected, until the descriptor is closed.

    Taken before the catalogue is read; waits for a collection to end, which is short. Gives -1 where there is
    nothing to lock or the file system cannot.
    """
    try:
        fd = os.open(folder / inner, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_SH)
        return fd
    os.close(fd)
    return -1


@contextmanager
def without_readers(folder: Path, inner: str = KEYS_FOLDER) -> Iterator[bool]:
    """Say whether nobody reads `folder` now, and keep new readers out for as long as the block runs."""
    try:
        fd = os.open(folder / inner, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(fd)


def _require_same(folder: Path, fd: int) -> None:
    """A freeze that failed removes its folder: the one we locked may be gone, or another by now."""
    locked = os.fstat(fd)
    with suppress(FileNotFoundError):
        there = folder.stat()
        if (there.st_dev, there.st_ino) == (locked.st_dev, locked.st_ino):
            return
    raise LockedError(f"{folder} was removed by another process just now; try again")
