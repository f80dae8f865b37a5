"""Checksums of stored bytes, written as "<algorithm>:<hex digits>" so that another algorithm can come later."""

from __future__ import annotations

import zlib
from pathlib import Path

_CHUNK_BYTES = 1 << 20


class Checksum:
    """A running CRC-32 of bytes as they pass.

    >>> checksum = Checksum()
    >>> checksum.update(b"every ")
    >>> checksum.update(b"byte")
    >>> checksum.text == checksum_bytes(b"every byte"), checksum.text
    (True, 'crc32:e56944bf')

    CRC-32 finds every burst of up to 32 bits and misses one in four billion other changes. It guards against
    damage, not against an enemy.
    """

    def __init__(self) -> None:
        self._crc = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add `data`."""
        self._crc = zlib.crc32(data, self._crc)

    @property
    def text(self) -> str:
        """The checksum of all that was added."""
        return f"crc32:{self._crc:08x}"


def checksum_bytes(data: bytes | bytearray | memoryview) -> str:
    """Give the checksum of bytes in memory."""
    checksum = Checksum()
    checksum.update(data)
    return checksum.text


def checksum_file(path: Path) -> str:
    """Give the checksum of a whole file, read once, a megabyte at a time."""
    checksum = Checksum()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum.update(chunk)
    return checksum.text
