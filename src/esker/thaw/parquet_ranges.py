"""Byte ranges of a Parquet file: merged where a gap is cheaper than a request, and read back as a file with holes."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from esker.core.extent import ByteRange
from esker.errors import TierError


def merge_ranges(ranges: Iterable[ByteRange], gap_bytes: int) -> Sequence[ByteRange]:
    """Join ranges that touch, overlap, or are at most `gap_bytes` apart.

    >>> merge_ranges([ByteRange(90, 100), ByteRange(0, 10), ByteRange(10, 20)], gap_bytes=50)
    [ByteRange(start=0, stop=20), ByteRange(start=90, stop=100)]
    """
    merged: list[ByteRange] = []
    for part in sorted(part for part in ranges if part.length):
        if merged and part.start <= merged[-1].stop + gap_bytes:
            merged[-1] = ByteRange(merged[-1].start, max(merged[-1].stop, part.stop))
        else:
            merged.append(part)
    return merged


class Fetched(NamedTuple):
    """Bytes of an object, from byte `start` on."""

    start: int
    data: bytes | memoryview


class PrefetchedFile(io.RawIOBase):
    """A read-only file of which only some ranges are there: what was fetched for pyarrow to decode.

    >>> file = PrefetchedFile("a.parquet", 100, [Fetched(40, b"forty on")])
    >>> file.seek(46), bytes(file.read(2))
    (46, b'on')
    >>> file.read(1)
    Traceback (most recent call last):
        ...
    esker.errors.TierError: bytes 48 to 49 of 'a.parquet' were not in the plan: 1 ranges of it were fetched

    Gives views of the fetched bytes, without a copy. A byte outside of them means that the plan is wrong, so it is
    an error and not a second request.
    """

    def __init__(self, key: str, size_bytes: int, parts: Iterable[Fetched]) -> None:
        self._key = key
        self._size_bytes = size_bytes
        # An empty part would hide one that starts at the same byte.
        self._parts = sorted((part for part in parts if len(part.data)), key=lambda part: part.start)
        self._starts = [part.start for part in self._parts]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = base + offset
        return self._position

    def size(self) -> int:
        """Give the size of the whole object."""
        return self._size_bytes

    def read(self, size: int = -1) -> memoryview:
        """Read from the position on; TierError for a byte that was not fetched."""
        left = max(self._size_bytes - self._position, 0)
        length = left if size < 0 else min(size, left)
        view = self._view(self._position, self._position + length)
        self._position += length
        return view

    def _view(self, start: int, stop: int) -> memoryview:
        if start == stop:
            return memoryview(b"")
        part = bisect_right(self._starts, start) - 1
        if part >= 0:
            view = memoryview(self._parts[part].data)
            offset = start - self._starts[part]
            if offset + stop - start <= len(view):
                return view[offset : offset + stop - start]
        raise TierError(
            f"bytes {start:,} to {stop:,} of {self._key!r} were not in the plan: {len(self._parts)} ranges of it"
            " were fetched"
        )
