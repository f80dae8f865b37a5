"""An append-only log in a file: framed, checksummed, synced on demand, cut where a crash tore it."""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from esker.cluster.records import Record, decode, encode
from esker.core.file_system import LOCAL, FileSystem
from esker.errors import LockedError, LogCorruptError

MAGIC = b"ESKLOG01"
_HEAD_BYTES = 16


class Frame(NamedTuple):
    """A record's bytes, and how many bytes of the log were durable when it was written."""

    payload: bytes
    synced: int


def frame(payload: bytes, synced: int = 0) -> bytes:
    """Put length, CRC-32 (of all else) and the durable length before the bytes of a record.

    >>> [one.payload for one in scan(frame(b"one") + frame(b"two")[:-1])[0]]
    [b'one']
    """
    length, durable = len(payload).to_bytes(4, "little"), synced.to_bytes(8, "little")
    return length + _checksum(length, durable, payload) + durable + payload


def scan(data: bytes | memoryview) -> tuple[list[Frame], int]:
    """Give the frames that are whole, and where the last of them ends."""
    frames: list[Frame] = []
    at = 0
    while len(data) - at >= _HEAD_BYTES:
        start, stop = at + _HEAD_BYTES, at + _HEAD_BYTES + int.from_bytes(data[at : at + 4], "little")
        if stop > len(data):
            break
        payload = bytes(data[start:stop])
        if _checksum(data[at : at + 4], data[at + 8 : start], payload) != data[at + 4 : at + 8]:
            break
        frames.append(Frame(payload, int.from_bytes(data[at + 8 : start], "little")))
        at = stop
    return frames, at


def _checksum(length: bytes | memoryview, durable: bytes | memoryview, payload: bytes) -> bytes:
    return zlib.crc32(payload, zlib.crc32(durable, zlib.crc32(length))).to_bytes(4, "little")


class LogFile:
    """A log of records in one file, written by one process at a time.

    >>> import tempfile
    >>> from esker.cluster.records import Seen
    >>> path = Path(tempfile.mkdtemp()) / "node.log"
    >>> with LogFile(path) as log:
    ...     log.append(Seen(3))
    ...     log.sync()
    >>> with LogFile(path) as log:
    ...     log.records()
    [Seen(epoch=3)]

    What was synced is there after any crash. What was not may be cut off, torn or have holes; it is cut off from its
    first damaged frame on when the file is opened. Each frame says how much was durable before it: damage below that
    is damage to what was synced, and raises LogCorruptError. Raises LockedError while another process has the log.
    """

    def __init__(self, path: Path, file_system: FileSystem = LOCAL) -> None:
        self.path = path
        self._file_system = file_system
        if not path.exists():
            with file_system.write_aside(path, mode=0o600) as file:
                file_system.write(file, MAGIC)
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self._pending: list[bytes] = []
        self._end = 0
        try:
            self._lock()
            self._records = self._recover()
        except BaseException:
            self.close()
            raise

    def append(self, record: Record) -> None:
        """Add a record; it is written with the next sync."""
        self._pending.append(frame(encode(record), self._end))

    def sync(self) -> None:
        """Write what was added, and make it durable."""
        self.write(self.take())

    def take(self) -> list[bytes]:
        """Give what was added and not written, for `write`; what is added later waits for the next time."""
        pending, self._pending = self._pending, []
        return pending

    def write(self, taken: list[bytes]) -> None:
        """Write what was taken, and make it durable; another thread may add meanwhile."""
        if taken:
            data = b"".join(taken)
            _write_all(self._fd, data)
            os.fdatasync(self._fd)
            self._end += len(data)

    def records(self) -> list[Record]:
        """Give the records that were there when the log was opened."""
        return list(self._records)

    @property
    def bytes(self) -> int:
        """How long the file is, what waits for a sync included."""
        return self._end + sum(map(len, self._pending))

    def replace(self, records: Sequence[Record]) -> None:
        """Make the log these records: written aside, synced, renamed; a crash leaves the old log or the new one."""
        self._pending = []
        with self._file_system.write_aside(self.path, overwrite=True, mode=0o600) as file:
            self._file_system.write(file, MAGIC)
            self._end = len(MAGIC)
            for record in records:
                data = frame(encode(record))
                self._file_system.write(file, data)
                self._end += len(data)
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        os.close(self._fd)
        self._fd = fd
        self._lock()

    def close(self) -> None:
        """Close the file; what was not synced is lost. Calling it again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> LogFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(f"{self.path} is in use by another process; a log has one writer") from error

    def _recover(self) -> list[Record]:
        data = memoryview(self.path.read_bytes())
        if bytes(data[: len(MAGIC)]) != MAGIC:
            raise LogCorruptError(f"{self.path} does not begin with {MAGIC!r}: it is no log of this version")
        frames, end = scan(data[len(MAGIC) :])
        end += len(MAGIC)
        if any(one.synced > end for one in _after_damage(data[end:])):
            raise LogCorruptError(
                f"{self.path} is damaged at byte {end:,}, among records that were durable; "
                "move the node's folder away and let the node join with an empty one"
            )
        if len(data) > end:
            os.ftruncate(self._fd, end)
            os.fsync(self._fd)
        self._end = end
        return [decode(one.payload) for one in frames]


def _after_damage(rest: memoryview) -> list[Frame]:
    """Give the whole frames behind the damaged one that `rest` begins with, going by its length."""
    if len(rest) < _HEAD_BYTES:
        return []
    stop = _HEAD_BYTES + int.from_bytes(rest[:4], "little")
    return scan(rest[stop:])[0] if stop < len(rest) else []


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
