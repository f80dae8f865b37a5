"""An open index segment: its directory in memory, its vectors on disk until asked for."""

from __future__ import annotations

import os
import threading
import weakref
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.bitmap import Bitmap, union
from esker.core.checksum import checksum_file
from esker.errors import BitmapCorruptError
from esker.frozen.records import SegmentLike
from esker.index.column_spec import Bins, Equality
from esker.index.segment_file import FOOTER, MAGIC, Directory, read_directory, read_footer
from esker.index.slots import FIRST_SLOT

SlotMask = npt.NDArray[np.bool_]

# Vectors ORed at a time: enough for the wide union to pay, few enough to bound memory.
UNION_BYTES = 16 << 20


@dataclass(frozen=True)
class SegmentInfo:
    """A written segment: file name in the index folder, and what a catalogue has to record; `spec` is plain JSON."""

    file: str
    column: str
    kind: str
    bytes: int
    checksum: str
    spec: dict[str, Any]


@dataclass
class ReadCount:
    """Vectors and bytes read, by any number of threads."""

    vectors: int = 0
    bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, vectors: int, size_bytes: int) -> None:
        """Count a read."""
        with self._lock:
            self.vectors += vectors
            self.bytes += size_bytes


class Segment:
    """The vectors of one column: slot 0 holds the null rows, slot 1 the NaN rows, the others a value or bin each.

    Opening reads the footer and the directory. Vectors are read with `pread`, not through a mapping: each is checked
    whole when it is read, and a file cut short while open is then an error and not a signal.
    """

    def __init__(self, folder: Path, info: SegmentLike) -> None:
        self.info = info
        self.place = f"index of column {info.column!r} ({info.file})"
        self.path = folder / info.file
        if self.path.parent != folder or not info.file:
            raise BitmapCorruptError(f"{self.place}: the file does not lie in the index folder")
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BitmapCorruptError(f"{self.place}: cannot be opened: {error.strerror}; freeze again") from error
        self._close = weakref.finalize(self, os.close, self._fd)
        try:
            self.directory = self._read_directory()
        except BaseException:
            self.close()
            raise

    @property
    def row_count(self) -> int:
        """Rows there are."""
        return self.directory.row_count

    @property
    def slot_count(self) -> int:
        """Vectors there are."""
        return len(self.directory.offsets)

    @property
    def values(self) -> pa.Array:
        """The value of each slot of an equality segment, the lower edge of each bin but the first."""
        first = FIRST_SLOT if self.info.kind == Equality.kind else FIRST_SLOT + 1
        return self.directory.labels[first:]

    def rows_in(self, slots: SlotMask) -> int:
        """Count the rows of slots, from the directory."""
        return int(self.directory.rows[slots].sum())

    def read(self, slot: int, count: ReadCount) -> Bitmap:
        """Read and check one vector."""
        directory = self.directory
        place = f"{self.place}, vector {slot}"
        length = int(directory.lengths[slot])
        data = self._pread(int(directory.offsets[slot]), length)
        if zlib.crc32(data) != int(directory.checksums[slot]):
            raise BitmapCorruptError(f"{place}: the checksum is wrong; freeze again or restore the file")
        count.add(1, length)
        rows = int(directory.rows[slot])
        return Bitmap.decode(data, directory.row_count, directory.encoding, count=rows, place=place)

    def union(self, slots: SlotMask, count: ReadCount) -> Bitmap:
        """OR the vectors of slots; reads those of all other slots instead where that is less, and no empty one."""
        filled = self.directory.rows > 0
        wanted, others = slots & filled, ~slots & filled
        if not wanted.any():
            return Bitmap.none(self.row_count)
        if not others.any():
            return Bitmap.all(self.row_count)
        lengths = self.directory.lengths
        if int(lengths[others].sum()) < int(lengths[wanted].sum()):
            return ~self._or(others, count)
        return self._or(wanted, count)

    def _or(self, slots: SlotMask, count: ReadCount) -> Bitmap:
        pending: list[Bitmap] = []
        pending_bytes = 0
        for slot in np.flatnonzero(slots).tolist():
            pending.append(self.read(slot, count))
            pending_bytes += pending[-1].nbytes
            if pending_bytes > UNION_BYTES:
                pending = [union(pending)]
                pending_bytes = pending[0].nbytes
                if pending[0].count() == self.row_count:
                    break
        return union(pending)

    def validate(self) -> None:
        """Read and check every byte; raises BitmapCorruptError naming the column and file."""
        if checksum_file(self.path) != self.info.checksum:
            raise BitmapCorruptError(f"{self.place}: the file's checksum is wrong; freeze again or restore the file")
        seen = Bitmap.none(self.row_count)
        for slot in range(self.slot_count):
            vector = self.read(slot, ReadCount())
            if seen & vector:
                raise BitmapCorruptError(f"{self.place}: a row is in two vectors")
            seen |= vector

    def close(self) -> None:
        """Close the file; calling it again does nothing."""
        self._close()

    def _read_directory(self) -> Directory:
        size = os.fstat(self._fd).st_size
        if size != self.info.bytes:
            raise BitmapCorruptError(f"{self.place}: has {size} bytes, the catalogue says {self.info.bytes}")
        footer = self._pread(size - FOOTER.size, FOOTER.size) if size > FOOTER.size else b""
        row_count, offset, length, checksum, vector_count = read_footer(footer, size, self.place)
        data = self._pread(offset, length)
        if zlib.crc32(data) != checksum:
            raise BitmapCorruptError(f"{self.place}: the directory's checksum is wrong")
        directory = read_directory(data, row_count, offset, vector_count, self.place)
        if (directory.column, directory.kind) != (self.info.column, self.info.kind):
            raise BitmapCorruptError(f"{self.place}: is an index of column {directory.column!r}, {directory.kind}")
        least = FIRST_SLOT + (directory.kind == Bins.kind)
        if directory.kind not in (Equality.kind, Bins.kind) or vector_count < least:
            raise BitmapCorruptError(f"{self.place}: kind {directory.kind!r} with {vector_count} vectors is not known")
        if directory.labels[least:].null_count:
            raise BitmapCorruptError(f"{self.place}: a value or edge is null")
        return directory

    def _pread(self, offset: int, length: int) -> bytes:
        assert offset >= len(MAGIC) or length == 0, "vectors begin after the magic"
        try:
            data = os.pread(self._fd, length, offset)
        except OSError as error:
            raise BitmapCorruptError(f"{self.place}: cannot be read: {error.strerror}") from error
        if len(data) != length:
            raise BitmapCorruptError(f"{self.place}: ends before byte {offset + length}")
        return data
