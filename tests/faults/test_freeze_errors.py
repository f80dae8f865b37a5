"""Freeze and append when the disk is full, or the user stops them, at any operation."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import apsw
import pyarrow as pa
import pytest

from esker.core.context import QueryContext
from esker.core.file_system import LOCAL, FileSystem
from esker.core.memory import MemoryBudget
from esker.errors import EskerError, OutputFileError, ResourceError, SpillError, TierError
from esker.frozen import FrozenCatalog, append, freeze
from esker.storage.tiers.disk import DiskTier
from tests.unit.frozen.tools import MEMORY_FOLDER

SALES = pa.table({"id": range(40), "month": sorted([1, 2] * 20), "note": [f"row {row}" for row in range(40)]})


class FailingFileSystem(FileSystem):
    """Raises at the n-th operation that makes or changes a file, and at all later ones if `lasting`."""

    def __init__(self, fail_at: int, error: Callable[[], BaseException], *, lasting: bool) -> None:
        self.fail_at = fail_at
        self.error = error
        self.lasting = lasting
        self.operations = 0

    def _step(self) -> None:
        self.operations += 1
        if self.operations == self.fail_at or (self.lasting and self.operations > self.fail_at):
            raise self.error()

    def open_new(self, path: Path) -> BinaryIO:
        self._step()
        return super().open_new(path)

    def write(self, file: BinaryIO, data: bytes | memoryview) -> None:
        self._step()
        super().write(file, data)

    def sync(self, file: BinaryIO) -> None:
        self._step()
        file.flush()  # nothing here loses power, and a hundred runs of real syncs are slow

    def sync_folder(self, folder: Path) -> None:
        pass

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of syncs take minutes on a busy disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER, prefix="esker-test-") as made:
        yield Path(made).resolve()


def act(target: Path, scenario: str, file_system: FileSystem) -> None:
    tier = DiskTier(target.parent / "tier", file_system=file_system)
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        batches = iter(SALES.to_batches())
        if scenario == "append":
            append(target, batches, context=context, tier=tier, file_system=file_system)
        else:
            freeze(
                batches,
                SALES.schema,
                target,
                hot_columns=["id"],
                split_by="month",
                tier=tier,
                context=context,
                file_system=file_system,
            )


def files(folder: Path) -> dict[str, int]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("error", [disk_full, KeyboardInterrupt])
@pytest.mark.parametrize("scenario", ["freeze", "append"])
def test_an_error_at_any_operation_leaves_the_state_before(folder, scenario, error, lasting):
    target = folder / "s.esker"
    if scenario == "append":
        act(target, "freeze", LOCAL)
    before, seen = files(folder), set()
    for fail_at in range(1, 1000):
        file_system = FailingFileSystem(fail_at, error, lasting=lasting)
        try:
            act(target, scenario, file_system)
        except (EskerError, KeyboardInterrupt) as raised:
            seen.add(type(raised))
            assert files(folder) == before, f"after {raised!r} at operation {fail_at}"
            assert target.exists() == (scenario == "append")
        else:
            break
    assert fail_at > 15, "is the seam still in use?"
    assert seen == ({KeyboardInterrupt} if error is KeyboardInterrupt else {SpillError, TierError, OutputFileError})
    with FrozenCatalog.open(target) as catalog:
        assert catalog.row_count == (80 if scenario == "append" else 40)
        catalog.verify(deep=True)


class FullVfs(apsw.VFS):
    """SQLite's files on a disk that is full from the n-th write on."""

    def __init__(self) -> None:
        self.writes_left = 1 << 30
        super().__init__("full", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> FullVfsFile:
        return FullVfsFile(self, name, flags)


class FullVfsFile(apsw.VFSFile):
    def __init__(self, vfs: FullVfs, name: Any, flags: list[int]) -> None:
        self.vfs = vfs
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self.vfs.writes_left -= 1
        if self.vfs.writes_left < 0:
            raise apsw.FullError
        super().xWrite(data, offset)


@pytest.fixture
def full_vfs() -> Iterator[FullVfs]:
    vfs = FullVfs()
    try:
        yield vfs
    finally:
        vfs.unregister()


def test_a_full_disk_under_the_catalogue_leaves_the_state_before(folder, full_vfs):
    target = folder / "s.esker"
    act(target, "freeze", LOCAL)
    before = files(folder)
    for writes in range(100):
        full_vfs.writes_left = writes
        try:
            act(target, "append", LOCAL)
        except ResourceError as error:
            assert "no space left" in str(error)
        else:
            break
        full_vfs.writes_left = 1 << 30
        with FrozenCatalog.open(target) as catalog:
            assert catalog.row_count == 40
            catalog.verify(deep=True)
    assert writes > 5
    full_vfs.writes_left = 1 << 30
    with FrozenCatalog.open(target) as catalog:
        assert catalog.row_count == 80
        catalog.verify(deep=True)
        assert set(files(folder)) > set(before)
