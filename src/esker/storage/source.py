"""What is written to a tier, passed on in chunks: bytes in memory or a local file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from esker.errors import InputFileError

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
