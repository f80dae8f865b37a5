"""Fetched bytes kept on disk, so that a thaw that was stopped goes on where it was: bounded, checked, never trusted.

A file holds what was fetched of one object, record after record as it arrived: a header (range, CRC-32 of the bytes,
CRC-32 of the header) and the bytes. What a kill left of the last record is cut off by whoever opens the file next.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import zlib
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from esker.core.extent import ByteRange, Extent
from esker.errors import OutputFileError

_MAGIC = b"ESKTHAW1"
_RANGE = struct.Struct("<QQI")
_HEADER = struct.Struct("<QQII")
_SUFFIX = ".fetched"
_OPEN_MAX = 32


class FetchCache:
    """What was fetched from a tier, in a private folder of at most `limit_bytes`; a context manager.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "cache"
    >>> extent = Extent("part-0", 0, 10, 100, "crc32:00000000")
    >>> with FetchCache(folder, "memory:example", 1 << 20) as cache:
    ...     cache.keep(extent, ByteRange(10, 15), b"every")
    >>> with FetchCache(folder, "memory:example", 1 << 20) as cache:
    ...     bytes(cache.find(extent, ByteRange(11, 15)) or b"")
    b'very'

    An object's file belongs to the process that writes to it; another one reads what is there, and keeps nothing.
    When the folder is full, files that were not used longest go, and those in use stay. What cannot be written is not
    kept: a cache never stops a thaw.
    """

    def __init__(self, folder: Path, tier_uri: str, limit_bytes: int) -> None:
        self.folder = folder
        self._tier_uri = tier_uri
        self._limit_bytes = limit_bytes
        self._files: OrderedDict[Extent, _ObjectFile] = OrderedDict()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OutputFileError(f"cannot keep fetched bytes in {folder}: {error.strerror}") from error

    def find(self, extent: Extent, part: ByteRange) -> bytes | None:
        """Give bytes that were kept and are whole; None when they are not there."""
        file = self._file(extent)
        return file.find(part) if file is not None else None

    def has(self, extent: Extent, part: ByteRange) -> bool:
        """Whether bytes are there, going by their headers."""
        file = self._file(extent)
        return file is not None and file.place(part) is not None

    def keep(self, extent: Extent, part: ByteRange, data: bytes | memoryview) -> None:
        """Keep bytes, if there is room."""
        file = self._file(extent, make=True)
        if file is not None and file.place(part) is None and self._make_room(_HEADER.size + len(data)):
            file.append(part, data)

    def close(self) -> None:
        """Let go of the files, with what was kept down on the device."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def __enter__(self) -> FetchCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _file(self, extent: Extent, *, make: bool = False) -> _ObjectFile | None:
        if extent in self._files:
            self._files.move_to_end(extent)
            return self._files[extent]
        # The checksum too: an object of the same name with other bytes is another object.
        name = "\0".join((self._tier_uri, extent.key, extent.checksum, str(extent.bytes)))
        path = self.folder / (hashlib.sha256(name.encode()).hexdigest()[:40] + _SUFFIX)
        try:
            file = _ObjectFile(path, extent.bytes, make=make)
        except OSError:
            return None
        self._files[extent] = file
        if len(self._files) > _OPEN_MAX:
            self._files.popitem(last=False)[1].close()
        return file

    def _make_room(self, size_bytes: int) -> bool:
        if size_bytes > self._limit_bytes:
            return False
        ours = {file.path for file in self._files.values()}
        found = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((path in ours, status.st_mtime_ns, status.st_size, path))
        held = sum(size for _, _, size, _ in found)
        for used, _, size, path in sorted(found):
            if held + size_bytes <= self._limit_bytes or used:
                break
            with suppress(OSError):
                path.unlink()
                held -= size
        return held + size_bytes <= self._limit_bytes


class _ObjectFile:
    """The records of one object."""

    def __init__(self, path: Path, object_bytes: int, *, make: bool) -> None:
        self.path = path
        self._object_bytes = object_bytes
        self._fd = os.open(path, os.O_RDWR | (os.O_CREAT if make else 0) | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._writes = self._lock()
        # Where the bytes of each kept range lie in the file, and their checksum.
        self._records: dict[ByteRange, tuple[int, int]] = {}
        self._end = self._scan()

    def place(self, part: ByteRange) -> ByteRange | None:
        """Find a record that has all of `part`."""
        if part in self._records:
            return part
        return next((kept for kept in self._records if kept.start <= part.start and part.stop <= kept.stop), None)

    def find(self, part: ByteRange) -> bytes | None:
        """Read a part of a record whose bytes are whole; a damaged record is forgotten."""
        kept = self.place(part)
        if kept is None:
            return None
        offset, checksum = self._records[kept]
        data = os.pread(self._fd, kept.length, offset)
        if len(data) != kept.length or zlib.crc32(data) != checksum:
            del self._records[kept]
            return None
        with suppress(OSError):
            os.utime(self._fd)
        return data[part.start - kept.start : part.stop - kept.start]

    def append(self, part: ByteRange, data: bytes | memoryview) -> None:
        """Write a record; a disk that is full keeps what it had."""
        if not self._writes:
            return
        checksum = zlib.crc32(data)
        numbers = _RANGE.pack(part.start, part.stop, checksum)
        header = _HEADER.pack(part.start, part.stop, checksum, zlib.crc32(numbers))
        try:
            _write_all(self._fd, header + bytes(data), self._end)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self._end)
            self._writes = False
            return
        self._records[part] = (self._end + _HEADER.size, checksum)
        self._end += _HEADER.size + part.length

    def close(self) -> None:
        with suppress(OSError):
            if self._writes:
                os.fsync(self._fd)
        os.close(self._fd)

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _scan(self) -> int:
        """Find the whole records, by their headers; gives where the next one goes."""
        size_bytes = os.fstat(self._fd).st_size
        if os.pread(self._fd, len(_MAGIC), 0) != _MAGIC:
            if self._writes:
                os.ftruncate(self._fd, 0)
                _write_all(self._fd, _MAGIC, 0)
            return len(_MAGIC)
        position = len(_MAGIC)
        while position + _HEADER.size <= size_bytes:
            start, stop, checksum, header_checksum = _HEADER.unpack(os.pread(self._fd, _HEADER.size, position))
            known = zlib.crc32(_RANGE.pack(start, stop, checksum)) == header_checksum
            data_start = position + _HEADER.size
            if not known or not start <= stop <= self._object_bytes or data_start + stop - start > size_bytes:
                break
            self._records[ByteRange(start, stop)] = (data_start, checksum)
            position = data_start + stop - start
        if self._writes and position < size_bytes:
            os.ftruncate(self._fd, position)
        return position


def _write_all(fd: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, position)
        view, position = view[written:], position + written
