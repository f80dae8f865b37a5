"""Cartridges as files: bytes go to the end and stay where they are."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esker.core.checksum import Checksum
from esker.core.file_system import FileSystem
from esker.errors import PayloadCorruptError, TierError
from esker.storage.source import source_chunks

_LOCK_FILE = "library.lock"
_CHUNK_BYTES = 1 << 20


def cartridge_path(folder: Path, number: int) -> Path:
    """Name the file of a cartridge.

    >>> cartridge_path(Path("library"), 7).name
    'cartridge-007.bin'
    """
    return folder / f"cartridge-{number:03}.bin"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the right to write to a library; others wait."""
    fd = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def append(path: Path, start: int, data: Path | bytes, file_system: FileSystem) -> tuple[int, str]:
    """Write data from byte `start` on, durably, and read it back; gives its bytes and checksum.

    What lies past `start` is the tail of a write that was never committed, and is cut off.
    """
    new = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    checksum = Checksum()
    size_bytes = 0
    with os.fdopen(fd, "r+b") as file:
        if os.fstat(fd).st_size < start:
            raise PayloadCorruptError(f"{path} has {os.fstat(fd).st_size:,} bytes; the catalogue says {start:,}")
        os.ftruncate(fd, start)
        file.seek(start)
        for chunk in source_chunks(data):
            file_system.write(file, chunk)
            checksum.update(chunk)
            size_bytes += len(chunk)
        file_system.sync(file)
        if _checksum_of(fd, start, start + size_bytes) != checksum.text:
            raise TierError(f"{path} reads back other bytes than were written; nothing was kept")
    if new:
        file_system.sync_folder(path.parent)
    return size_bytes, checksum.text


def read(path: Path, start: int, stop: int) -> bytes:
    """Read bytes `start` to `stop` of a cartridge, all of them."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise PayloadCorruptError(f"the cartridge {path} cannot be read: {error.strerror}") from error
    try:
        return b"".join(_chunks(fd, start, stop, stop - start, path))
    except OSError as error:
        raise TierError(f"{path} could not be read at byte {start:,}: {error.strerror}") from error
    finally:
        os.close(fd)


def _chunks(fd: int, start: int, stop: int, chunk_bytes: int, path: Path) -> Iterator[bytes]:
    while start < stop:
        chunk = os.pread(fd, min(chunk_bytes, stop - start), start)
        if not chunk:
            raise PayloadCorruptError(f"{path} ends at byte {start:,}; the catalogue says it goes to {stop:,} at least")
        yield chunk
        start += len(chunk)


def _checksum_of(fd: int, start: int, stop: int) -> str:
    checksum = Checksum()
    for chunk in _chunks(fd, start, stop, _CHUNK_BYTES, Path("the cartridge just written")):
        checksum.update(chunk)
    return checksum.text
