"""What is written to a tier, passed on in chunks: bytes in memory or a local file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from esker.core.checksum import Checksum
from esker.core.file_system import FileSystem
from esker.errors import InputFileError, TierError

_CHUNK_BYTES = 1 << 20


def source_bytes(data: Path | bytes) -> int:
    """Say how many bytes there are to write."""
    if isinstance(data, bytes):
        return len(data)
    try:
        return data.stat().st_size
    except OSError as error:
        raise InputFileError(f"cannot read {data}: {error.strerror}") from error


def source_chunks(data: Path | bytes) -> Iterator[bytes | memoryview]:
    """Yield the bytes to write, a megabyte at a time."""
    if isinstance(data, bytes):
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK_BYTES):
            yield view[start : start + _CHUNK_BYTES]
        return
    try:
        file = data.open("rb")
    except OSError as error:
        raise InputFileError(f"cannot read {data}: {error.strerror}") from error
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def write_and_compare(file: BinaryIO, data: Path | bytes, file_system: FileSystem, wrote: str) -> tuple[int, str]:
    """Write all data to a new file, durably, and read it back; gives its bytes and checksum.

    TierError, which begins with what it `wrote`, when other bytes come back.
    """
    written, back = Checksum(), Checksum()
    size_bytes = 0
    for chunk in source_chunks(data):
        file_system.write(file, chunk)
        written.update(chunk)
        size_bytes += len(chunk)
    file_system.sync(file)
    file.seek(0)
    while found := file.read(_CHUNK_BYTES):
        back.update(found)
    if back.text != written.text:
        raise TierError(f"{wrote}, but reads back other bytes; nothing was kept")
    return size_bytes, written.text
