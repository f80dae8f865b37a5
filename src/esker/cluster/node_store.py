"""A node's folder: its log, and the segment files that checkpoints move values into (docs/formats/cluster-log.md)."""

from __future__ import annotations

import mmap
import os
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from esker.cluster.log_file import LogFile
from esker.cluster.messages import UnitCopy
from esker.cluster.records import Filed, Kept, Record
from esker.core.file_system import ASIDE_MARK, LOCAL, FileSystem
from esker.errors import LogCorruptError

LOG_FILE = "node.log"
_MAGIC = b"ESKVALS1"
_TAIL_BYTES = 12
_NAME = re.compile(r"values-(\d{1,18})\.seg")
# A segment with less than this part of it in use is copied from, and goes.
_LIVE_PART = 0.5


class Segment:
    """An immutable file of values, mapped into memory: what is not asked for takes none."""

    def __init__(self, path: Path, number: int) -> None:
        """Map it; LogCorruptError when it is cut off or not ours. Values are checked when they are decoded."""
        self.path = path
        self.number = number
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < len(_MAGIC) + _TAIL_BYTES:
                raise LogCorruptError(f"{path} is too short for a segment of values")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.view = memoryview(self._map)
        tail = self.view[-_TAIL_BYTES:]
        if (
            bytes(self.view[: len(_MAGIC)]) != _MAGIC
            or int.from_bytes(tail[:8], "little") != size
            or zlib.crc32(tail[:8]) != int.from_bytes(tail[8:], "little")
        ):
            raise LogCorruptError(f"{path} is no whole segment of values; let the node join with an empty folder")
        self.size = size - len(_MAGIC) - _TAIL_BYTES
        self.address: int = pa.py_buffer(self.view).address

    def value(self, offset: int, length: int) -> memoryview:
        """Give a value, without a copy."""
        if offset < len(_MAGIC) or length < 1 or offset + length > len(_MAGIC) + self.size:
            raise LogCorruptError(f"{self.path} has no value of {length:,} bytes at byte {offset:,}")
        return self.view[offset : offset + length]


class NodeStore:
    """The log of a node and its segments; one process at a time.

    Records between two checkpoints carry their values; a checkpoint writes the values that are in memory into a new
    segment, and then a log that refers to it.
    """

    def __init__(self, folder: Path, file_system: FileSystem = LOCAL) -> None:
        """Open the folder, or make it; raises what LogFile does."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._file_system = file_system
        self.log = LogFile(folder / LOG_FILE, file_system)
        self._segments: dict[int, Segment] = {}
        try:
            self._records = [self._unfiled(record) for record in self.log.records()]
            self._next = 1 + max([self._number_of(path) for path in folder.iterdir()], default=0)
            self._sweep(self._segments.keys())
        except BaseException:
            self.log.close()
            raise

    def records(self) -> list[Record]:
        """Give what the log has, with values that lie in segments as views of them; once."""
        records, self._records = self._records, []
        return records

    def to_move(self, values: Iterable[bytes]) -> list[bytes]:
        """Choose the values that the next segment is to take: those in memory, and those of segments hardly used."""
        listed = list(values)
        used: dict[int, int] = {}
        homes = [self._home(value) for value in listed]
        for home, value in zip(homes, listed, strict=True):
            if home is not None:
                used[home[0]] = used.get(home[0], 0) + len(value)
        sparse = {number for number, size in used.items() if size < _LIVE_PART * self._segments[number].size}
        return [
            value for home, value in zip(homes, listed, strict=True) if value and (home is None or home[0] in sparse)
        ]

    def write_segment(self, values: Sequence[bytes]) -> list[memoryview]:
        """Write values into a new segment, durably, and give them as views of it."""
        number, self._next = self._next, self._next + 1
        path = self.folder / f"values-{number}.seg"
        places: list[tuple[int, int]] = []
        end = len(_MAGIC)
        with self._file_system.write_aside(path, mode=0o600) as file:
            self._file_system.write(file, _MAGIC)
            for value in values:
                self._file_system.write(file, value)
                places.append((end, len(value)))
                end += len(value)
            size = (end + _TAIL_BYTES).to_bytes(8, "little")
            self._file_system.write(file, size + zlib.crc32(size).to_bytes(4, "little"))
        segment = self._segments[number] = Segment(path, number)
        return [segment.value(*place) for place in places]

    def replace(self, records: Sequence[Record]) -> None:
        """Make the log these records, with references for values that lie in segments; segments left over go."""
        filed = [one for record in records for one in self._filed(record)]
        self.log.replace(filed)
        self._sweep({segment for one in filed if isinstance(one, Filed) for _, _, segment, _, _ in one.filed})

    def close(self) -> None:
        """Close the log. Segments stay mapped while their values are in use."""
        self.log.close()

    def __enter__(self) -> NodeStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _home(self, value: bytes) -> tuple[int, int] | None:
        """The segment that a value is a view of, and its offset there; None when it is in memory, or its file gone."""
        if type(value) is bytes:
            return None
        address = pa.py_buffer(value).address
        by_address = sorted((segment.address, number) for number, segment in self._segments.items())
        at = bisect_right(by_address, (address, 1 << 62)) - 1
        if at < 0:
            return None
        start, number = by_address[at]
        offset = address - start
        return (number, offset) if offset < len(_MAGIC) + self._segments[number].size else None

    def _filed(self, record: Record) -> list[Record]:
        if type(record) is not Kept:
            return [record]
        made: list[Record] = []
        for copy in record.units:
            filed, entries = [], []
            for vector, version, value in copy.entries:
                home = self._home(value)
                if home is None:
                    entries.append((vector, version, value))
                else:
                    filed.append((vector, version, *home, len(value)))
            made.append(Filed(copy.unit, copy.version, copy.digest, tuple(filed), tuple(entries)))
        return made

    def _unfiled(self, record: Record) -> Record:
        if type(record) is not Filed:
            return record
        found = [
            (vector, version, self._segment(segment).value(offset, length))
            for vector, version, segment, offset, length in record.filed
        ]
        entries = tuple(sorted([*found, *record.entries], key=lambda entry: entry[0]))
        return Kept((UnitCopy(record.unit, record.version, record.digest, entries),))  # type: ignore[arg-type]  # both lists hold the same triples

    def _segment(self, number: int) -> Segment:
        if number not in self._segments:
            path = self.folder / f"values-{number}.seg"
            try:
                self._segments[number] = Segment(path, number)
            except FileNotFoundError as error:
                raise LogCorruptError(f"{path} is missing, and {self.log.path} refers to it") from error
        return self._segments[number]

    def _number_of(self, path: Path) -> int:
        named = _NAME.fullmatch(path.name)
        return int(named[1]) if named else 0

    def _sweep(self, used: Iterable[int]) -> None:
        """Delete segments that nothing refers to, and what a crash left half-written."""
        kept = set(used)
        for path in list(self.folder.iterdir()):
            number = self._number_of(path)
            if (number and number not in kept) or ASIDE_MARK in path.name:
                self._file_system.delete(path)
                self._segments.pop(number, None)
