"""Elements that are kept once they were computed: a file for each partition, written by whoever computes it first.

A partition is kept when it was read to its end; until then, and when its reader leaves early, nothing of it is. Files
are private, and go with the plan node that asked for them, with `unpersist`, or with the process.
"""

from __future__ import annotations

import os
import secrets
import shutil
import struct
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from esker.core.memory import MemoryBudget
from esker.core.spill import SpillFolder
from esker.engine.bag.options import BagOptions
from esker.engine.bag.pipeline import Pipeline, Split, pipelines_of
from esker.engine.bag.plan import Node
from esker.engine.bag.task import batches
from esker.errors import CorruptError, InputError, OptionError, SpillError

if TYPE_CHECKING:
    from esker.engine.bag.run import Run
    from esker.engine.objects import Partitioner

LEVELS = ("memory", "disk")
# A folder in memory, where the system has one.
_SHARED_MEMORY = Path("/dev/shm")
_LENGTH = struct.Struct("<Q")
_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True)
class Keeping:
    """Where partitions are kept: in memory up to a limit, and beyond it on disk."""

    memory: str | None
    disk: str
    memory_limit_bytes: int

    def find(self, partition: int) -> Path | None:
        """The file of a partition that is kept."""
        for folder in (self.memory, self.disk):
            if folder is not None and (path := Path(folder, str(partition))).exists():
                return path
        return None

    def has_room(self, size_bytes: int) -> bool:
        """Whether so much more may lie in memory."""
        if self.memory is None:
            return False
        used = 0
        for entry in os.scandir(self.memory):
            with suppress(FileNotFoundError):  # another task has given up
                used += entry.stat().st_size
        return used + size_bytes <= self.memory_limit_bytes


class _Writer:
    """One partition on its way to be kept."""

    def __init__(self, keeping: Keeping, partition: int) -> None:
        self._keeping = keeping
        self._partition = partition
        self._in_memory = keeping.memory is not None
        self._aside = self._new_path(keeping.memory or keeping.disk)
        self._file = self._open(self._aside)

    def write(self, block: bytes) -> None:
        """Add a block; what does not fit in memory moves to disk, with all before it."""
        if self._in_memory and not self._keeping.has_room(len(block)):
            self._move_to_disk()
        try:
            self._file.write(_LENGTH.pack(len(block)) + block)
        except OSError as error:
            raise _failure(self._aside, error) from error

    def finish(self) -> None:
        """Let others find it."""
        try:
            self._file.close()
            self._aside.rename(self._aside.with_name(str(self._partition)))
        except OSError as error:
            raise _failure(self._aside, error) from error

    def abandon(self) -> None:
        """Leave nothing."""
        with suppress(OSError):
            self._file.close()
        self._aside.unlink(missing_ok=True)

    def _move_to_disk(self) -> None:
        before = self._aside
        try:
            self._file.close()
            with before.open("rb") as source:
                # Gone from the count before it is copied: otherwise those who write meanwhile would move, too.
                before.unlink()
                self._aside = self._new_path(self._keeping.disk)
                self._file = self._open(self._aside)
                shutil.copyfileobj(source, self._file, _BUFFER_BYTES)
        except OSError as error:
            raise _failure(self._aside, error) from error
        self._in_memory = False

    def _new_path(self, folder: str) -> Path:
        return Path(folder, f"{self._partition}-{secrets.token_hex(4)}.aside")

    def _open(self, path: Path) -> BinaryIO:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _failure(path, error) from error
        return os.fdopen(fd, "ab", _BUFFER_BYTES)


def _failure(path: Path, error: OSError) -> SpillError:
    return SpillError(
        f"keeping a partition in {path.parent} failed: {error.strerror or error}; free space there, set"
        " ESKER_SPILL_FOLDER to another disk, or do without persist"
    )


@dataclass(frozen=True, eq=False)
class PersistedSplit(Split):
    """A partition that is read from where it is kept, or computed and kept."""

    source: Pipeline | None
    keeping: Keeping
    partition: int

    def describe(self) -> str:
        return self.source.describe() if self.source is not None else ""

    def open(self) -> Iterator[Any]:
        kept = self.keeping.find(self.partition)
        if kept is not None:
            return _read(kept)
        assert self.source is not None, "a partition that was kept is gone"
        return self._computed(self.source)

    def _computed(self, source: Pipeline) -> Iterator[Any]:
        from esker.engine.objects.codec import dump_many  # with NumPy and the kernel, which plans may do without

        writer = _Writer(self.keeping, self.partition)
        try:
            # Written before it is handed out: who gets an element may change it.
            for batch in batches(source.open()):
                writer.write(dump_many(batch))
                yield from batch
            writer.finish()
        except BaseException:
            writer.abandon()
            raise


def _read(path: Path) -> Iterator[Any]:
    from esker.engine.objects.codec import load_many

    with path.open("rb", _BUFFER_BYTES) as file:
        size = os.fstat(file.fileno()).st_size
        while head := file.read(_LENGTH.size):
            length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else size
            if length > size - file.tell():
                raise CorruptError(f"what was kept in {path} is damaged before byte {file.tell():,}")
            yield from load_many(file.read(length))


class PersistNode(Node):
    """The elements of another node, kept."""

    operator = "persist"

    def __init__(self, parent: Node, level: str, options: BagOptions) -> None:
        if level not in LEVELS:
            raise OptionError(f"persist({level!r}): there is {', '.join(LEVELS)}")
        self.parents = (parent,)
        self.level = level
        self._count = parent.partition_count
        self._placed_by = parent.placed_by
        self._limit = MemoryBudget(options.memory).total_bytes // 2
        root = Path(options.spill_folder) if options.spill_folder is not None else None
        self._disk = SpillFolder(root=root, limit=options.spill_limit)
        usable = level == "memory" and os.access(_SHARED_MEMORY, os.W_OK)
        self._memory = SpillFolder(root=_SHARED_MEMORY) if usable else None
        self._dropped = False
        # Also when the process ends.
        self._finalizer = weakref.finalize(self, _close, self._disk, self._memory)

    @property
    def partition_count(self) -> int:
        return self._count

    @property
    def placed_by(self) -> Partitioner | None:
        return self._placed_by

    def pipelines(self, run: Run) -> list[Pipeline]:
        if self._dropped:
            if not self.parents:
                raise InputError("this checkpoint was dropped by unpersist; make it again")
            return run.pipelines(self.parents[0])
        keeping = self._keeping()
        numbers = range(self.partition_count)
        if all(keeping.find(number) is not None for number in numbers):
            return pipelines_of([PersistedSplit(None, keeping, number) for number in numbers])
        parts = run.pipelines(self.parents[0])
        return pipelines_of([PersistedSplit(part, keeping, number) for number, part in enumerate(parts)])

    def cut(self) -> None:
        """Forget what it was made of; all of it is kept."""
        keeping = self._keeping()
        assert all(keeping.find(number) is not None for number in range(self._count)), "not all of it is kept"
        self.parents = ()

    def drop(self) -> None:
        """Forget what is kept, and keep nothing from now on."""
        self._dropped = True
        self._finalizer()

    def _keeping(self) -> Keeping:
        # Apart from the lock of the folder: files have the numbers of partitions.
        folders = [_inner(folder) if folder is not None else None for folder in (self._memory, self._disk)]
        assert folders[1] is not None
        return Keeping(folders[0], folders[1], self._limit)


def _inner(folder: SpillFolder) -> str:
    path = folder.path / "kept"
    path.mkdir(mode=0o700, exist_ok=True)
    return str(path)


def _close(*folders: SpillFolder | None) -> None:
    for folder in folders:
        if folder is not None:
            folder.close()
