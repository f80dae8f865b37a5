"""What the map side leaves for the reduce side: files of entries, by partition.

An entry is one key and its values, or a batch of pairs:

    +-----------+-----------+-----------------+------+--------+
    | key bytes |   pairs   |   value bytes   | keys | values |
    |    u32    |    u32    |       u64       |      |        |
    +-----------+-----------+-----------------+------+--------+

A file has the entries of partition 0, then those of 1, and so on; the places are in `Run`, which goes from process to
process, and not in the file.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from esker.core.spill import SpillFolder
from esker.errors import CorruptError, SpillError

#: `groups`: an entry is one key and its values. `records`: a batch of pairs in input order. `combined`: the same, of
#: keys that are there once with what their values came to.
KINDS = ("groups", "records", "combined")
_HEADER = struct.Struct("<IIQ")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True)
class SpillPlace:
    """Where a task writes: a folder of the query, and a name that no other task or attempt has. Pickles."""

    folder: str
    root: str
    name: str
    limit_bytes: int

    @classmethod
    def of(cls, folder: SpillFolder, name: str) -> SpillPlace:
        """A place for files called `name`-… in the query's spill folder.

        >>> with SpillFolder(limit="1MiB") as folder:
        ...     SpillPlace.of(folder, "map-3-0").limit_bytes
        1048576
        """
        return cls(str(folder.path), str(folder.root), name, folder.limit_bytes)

    def below(self, name: str) -> SpillPlace:
        """The place of a part of the task."""
        return SpillPlace(self.folder, self.root, f"{self.name}-{name}", self.limit_bytes)

    def new_file(self, number: int) -> tuple[str, int]:
        """Create a private file; returns its path and an open descriptor."""
        path = f"{self.folder}/{self.name}-{number}"
        return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def failure(self, error: OSError) -> SpillError:
        """The error to raise when writing fails."""
        return SpillError(
            f"spilling to {self.root} failed: {error.strerror or error}; free space there, set ESKER_SPILL_FOLDER to"
            " another disk, or raise memory="
        )

    def over_limit(self, bytes_wanted: int) -> SpillError:
        """The error to raise when a task has written more than the query may."""
        return SpillError(
            f"spilling to {self.root} would pass the {self.limit_bytes:,} bytes allowed there (a task wanted"
            f" {bytes_wanted:,}); raise spill_limit= or memory="
        )


class Section(NamedTuple):
    """The entries of one partition in one file."""

    path: str
    begin: int
    end: int
    kind: str


class Run(NamedTuple):
    """One file: where each partition's entries begin, and the end of the last."""

    path: str
    kind: str
    offsets: tuple[int, ...]


@dataclass
class Runs:
    """All a task left, in the order it was written; small, and pickles."""

    partition_count: int
    runs: list[Run] = field(default_factory=list)
    record_counts: list[int] = field(default_factory=list)

    def sections(self, partition: int) -> list[Section]:
        """The entries of a partition."""
        return [
            Section(run.path, run.offsets[partition], run.offsets[partition + 1], run.kind)
            for run in self.runs
            if run.offsets[partition] < run.offsets[partition + 1]
        ]

    @property
    def byte_counts(self) -> list[int]:
        """Bytes of each partition."""
        return [
            sum(run.offsets[partition + 1] - run.offsets[partition] for run in self.runs)
            for partition in range(self.partition_count)
        ]

    def remove(self) -> None:
        """Delete the files; whoever reads them already may go on."""
        for run in self.runs:
            Path(run.path).unlink(missing_ok=True)
        self.runs = []


class RunWriter:
    """Writes runs at a place: a file at a time, its partitions in order.

    A context manager: what was written is removed when the block fails.
    """

    def __init__(self, place: SpillPlace, partition_count: int) -> None:
        self.place = place
        self.runs = Runs(partition_count, record_counts=[0] * partition_count)
        self._written = 0

    def write(self, kind: str, partitions: Iterator[Iterator[tuple[bytes, int, bytes]]]) -> Run:
        """Write a file: for each partition its entries, as keys, number of pairs, values."""
        assert kind in KINDS, kind
        path, offsets = self._new_file()
        run = Run(path, kind, (0,))
        self.runs.runs.append(run)
        try:
            with os.fdopen(offsets, "wb", buffering=1 << 18) as file:
                places = [0]
                for partition, entries in enumerate(partitions):
                    for keys, count, values in entries:
                        file.write(_HEADER.pack(len(keys), count, len(values)))
                        file.write(keys)
                        file.write(values)
                        self.runs.record_counts[partition] += count
                    places.append(file.tell())
                    self._check_limit(places[-1])
        except OSError as error:
            if isinstance(error, SpillError):
                raise
            raise self.place.failure(error) from error
        self._written += places[-1]
        self.runs.runs[-1] = Run(path, kind, tuple(places))
        return self.runs.runs[-1]

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:
            self.runs.remove()

    def _new_file(self) -> tuple[str, int]:
        try:
            return self.place.new_file(len(self.runs.runs))
        except OSError as error:
            raise self.place.failure(error) from error

    def _check_limit(self, written: int) -> None:
        if self._written + written > self.place.limit_bytes:
            raise self.place.over_limit(self._written + written)


class Entry(NamedTuple):
    """One entry, still bytes of the mapped file; `begin` and `end` are its place there."""

    keys: memoryview
    pairs: int
    values: memoryview
    begin: int
    end: int


class MappedFiles:
    """Files of runs, each mapped once and as long as somebody reads from it, also when it was removed meanwhile."""

    def __init__(self) -> None:
        self._mapped: dict[str, memoryview] = {}
        self._paths: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, path: str) -> int:
        """A small number for a file's path."""
        number = self._numbers.get(path)
        if number is None:
            number = self._numbers[path] = len(self._paths)
            self._paths.append(path)
        return number

    def path(self, number: int) -> str:
        """The path that has this number."""
        return self._paths[number]

    def entries(self, section: Section) -> Iterator[Entry]:
        """Read the entries of a section.

        Raises CorruptError when the places of entries do not add up.
        """
        data = self._data(section)
        place = section.begin
        while place < section.end:
            begin = place
            if section.end - place < HEADER_BYTES:
                raise _damaged(section)
            key_bytes, pairs, value_bytes = _HEADER.unpack_from(data, place)
            values_begin = place + HEADER_BYTES + key_bytes
            place = values_begin + value_bytes
            if place > section.end:
                raise _damaged(section)
            yield Entry(data[values_begin - key_bytes : values_begin], pairs, data[values_begin:place], begin, place)

    def _data(self, section: Section) -> memoryview:
        data = self._mapped.get(section.path)
        if data is None:
            data = self._mapped[section.path] = _map(section.path)
        if not 0 <= section.begin <= section.end <= len(data):
            raise _damaged(section)
        return data


def entries(section: Section) -> Iterator[Entry]:
    """Read the entries of a section once; raises CorruptError when their places do not add up."""
    return MappedFiles().entries(section)


def _map(path: str) -> memoryview:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # Mapped, not read: the system may take the pages back, so they cost no memory of the budget.
            return memoryview(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:
        raise CorruptError(f"spill file {path} cannot be read: {error}") from error


def _damaged(section: Section) -> CorruptError:
    return CorruptError(f"spill file {section.path} is damaged between bytes {section.begin} and {section.end}")
