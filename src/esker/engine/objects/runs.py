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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from esker.core.spill import SpillFolder
from esker.engine.objects.codec import dump_many, load_one
from esker.errors import CorruptError, EskerError, SpillError
from esker.kernel import _kernel

#: `groups`: an entry is one key and its values. `records`: a batch of pairs in input order. `combined`: the same, of
#: keys that are there once with what their values came to.
KINDS = ("groups", "records", "combined")
_HEADER = struct.Struct("<IIQ")


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
        return replace(self, name=f"{self.name}-{name}")

    def new_file(self, number: int) -> tuple[str, int]:
        """Create a private file; returns its path and an open descriptor."""
        path = f"{self.folder}/{self.name}-{number}"
        return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def failure(self, error: OSError) -> EskerError:
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
    """Writes runs at a place, a file at a time.

    A context manager: what was written is removed when the block fails.
    """

    def __init__(self, place: SpillPlace, partition_count: int) -> None:
        self.place = place
        self.runs = Runs(partition_count, record_counts=[0] * partition_count)
        self._written = 0

    def write_table(self, kind: str, write: Callable[[int], tuple[list[int], list[int]]]) -> None:
        """Write a file: `write(fd)` gives where each partition begins, with the end of the last, and its pairs."""
        assert kind in KINDS, kind
        path, fd = self._new_file()
        try:
            # Known before it is written, so that it goes when writing fails.
            self.runs.runs.append(Run(path, kind, (0,)))
            offsets, counts = write(fd)
        except OSError as error:
            if isinstance(error, EskerError):
                raise
            raise self.place.failure(error) from error
        finally:
            os.close(fd)
        self.runs.runs[-1] = Run(path, kind, tuple(offsets))
        for partition, count in enumerate(counts):
            self.runs.record_counts[partition] += count
        self._written += offsets[-1]
        if self._written > self.place.limit_bytes:
            raise self.place.over_limit(self._written)

    def write_batches(self, kind: str, batches: Iterable[list[tuple[Any, Any]]]) -> None:
        """Write a file of one partition: an entry for each list of pairs."""

        def write(fd: int) -> tuple[list[int], list[int]]:
            pairs = 0
            with os.fdopen(os.dup(fd), "wb", buffering=1 << 18) as file:
                for batch in batches:
                    keys = dump_many([key for key, _ in batch])
                    values = dump_many([value for _, value in batch])
                    file.write(_HEADER.pack(len(keys), len(batch), len(values)))
                    file.write(keys)
                    file.write(values)
                    pairs += len(batch)
                return [0, file.tell()], [pairs]

        self.write_table(kind, write)

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


class MappedFiles:
    """Files of runs, each mapped once and as long as somebody reads from it, also when it was removed meanwhile."""

    def __init__(self) -> None:
        #: By number.
        self.mapped: list[memoryview] = []
        self._numbers: dict[str, int] = {}

    def number(self, path: str) -> int:
        """A small number for a file, which is mapped.

        Raises CorruptError when it cannot be read.
        """
        number = self._numbers.get(path)
        if number is None:
            self.mapped.append(_map(path))
            number = self._numbers[path] = len(self.mapped) - 1
        return number

    def section(self, section: Section) -> memoryview:
        """The bytes of a section.

        Raises CorruptError when the file is shorter.
        """
        data = self.mapped[self.number(section.path)]
        if not 0 <= section.begin <= section.end <= len(data):
            raise _damaged(section)
        return data[section.begin : section.end]

    def pairs(self, section: Section) -> _kernel.PairReader:
        """Read the pairs of a section."""
        return _kernel.PairReader(self.section(section), section.kind == "groups", load_one)


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
