"""Byte ranges of a Parquet file: merged where a gap is cheaper than a request, and read back as a file with holes."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from esker.core.extent import ByteRange
from esker.errors import TierError


@dataclass(frozen=True)
class Spans:
    """Bytes of an object, as arrays of starts and stops: there may be one for every page."""

    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]

    @classmethod
    def of(cls, parts: Sequence[Spans]) -> Spans:
        """Put spans together."""
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64))
        return cls(np.concatenate([part.starts for part in parts]), np.concatenate([part.stops for part in parts]))

    @classmethod
    def of_ranges(cls, ranges: Sequence[ByteRange]) -> Spans:
        """Take ranges."""
        return cls(
            np.array([part.start for part in ranges], np.int64), np.array([part.stop for part in ranges], np.int64)
        )

    @property
    def length(self) -> int:
        """Bytes in all, those that overlap more than once."""
        return int((self.stops - self.starts).sum())

    def merged(self, gap_bytes: int) -> Sequence[ByteRange]:
        """Join spans that touch, overlap, or are at most `gap_bytes` apart.

        >>> Spans.of_ranges([ByteRange(90, 100), ByteRange(0, 10), ByteRange(10, 20)]).merged(gap_bytes=50)
        [ByteRange(start=0, stop=20), ByteRange(start=90, stop=100)]
        """
        there = self.stops > self.starts
        order = np.argsort(self.starts[there], kind="stable")
        starts, stops = self.starts[there][order], self.stops[there][order]
        if not len(starts):
            return []
        reach = np.maximum.accumulate(stops)
        begins = np.flatnonzero(np.concatenate(([True], starts[1:] - reach[:-1] > gap_bytes)))
        ends = np.append(begins[1:], len(starts)) - 1
        return [
            ByteRange(start, stop) for start, stop in zip(starts[begins].tolist(), reach[ends].tolist(), strict=True)
        ]


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
    esker.errors.TierError: bytes 48 to 49 of 'a.parquet' were not in the plan: 1 ranges of it were fetched [ESK-400]

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
        view = self.view(self._position, self._position + length)
        self._position += length
        return view

    def view(self, start: int, stop: int) -> memoryview:
        """Give bytes `start` to `stop`, wherever the position is; TierError for a byte that was not fetched."""
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
