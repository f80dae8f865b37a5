"""Run freeze or append in children that are killed at the n-th operation, and check what is left.

    python freeze_kill.py freeze|append <folder> <stride>

Everything happens in forked children, so that the parent never has a second thread when it forks.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import apsw
import pyarrow as pa

from esker.core.checksum import checksum_bytes
from esker.core.context import QueryContext
from esker.core.file_system import LOCAL, FileSystem
from esker.core.memory import MemoryBudget
from esker.errors import InputFileError
from esker.frozen import FrozenCatalog, append, collect_garbage, freeze
from esker.storage.tiers.disk import DiskTier

SALES = pa.table({"id": range(40), "month": sorted([1, 2] * 20), "note": [f"row {row}" for row in range(40)]})


class Countdown:
    """Kills this process at one operation; `tear` does the first half of a write before."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.operations = 0

    def step(self, tear: Callable[[], object] | None = None) -> None:
        self.operations += 1
        if self.operations == self.kill_at:
            if tear is not None:
                tear()
            os.kill(os.getpid(), signal.SIGKILL)


class KillingFileSystem(FileSystem):
    def __init__(self, countdown: Countdown) -> None:
        self.countdown = countdown

    def open_new(self, path: Path) -> BinaryIO:
        self.countdown.step()
        return super().open_new(path)

    def write(self, file: BinaryIO, data: bytes | memoryview) -> None:
        half = memoryview(data)[: len(memoryview(data)) // 2]
        self.countdown.step(lambda: (file.write(half), file.flush()))
        super().write(file, data)

    def sync(self, file: BinaryIO) -> None:
        self.countdown.step()
        super().sync(file)

    def rename(self, source: Path, target: Path) -> None:
        self.countdown.step()
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        self.countdown.step()
        super().sync_folder(folder)

    def delete(self, path: Path) -> None:
        self.countdown.step()
        super().delete(path)


class KillingVfs(apsw.VFS):
    """SQLite's files; every change of one counts."""

    def __init__(self, countdown: Countdown) -> None:
        self.countdown = countdown
        super().__init__("killing", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> KillingVfsFile:
        return KillingVfsFile(self.countdown, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        self.countdown.step()
        super().xDelete(name, sync)


class KillingVfsFile(apsw.VFSFile):
    def __init__(self, countdown: Countdown, name: Any, flags: list[int]) -> None:
        self.countdown = countdown
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self.countdown.step(lambda: super(KillingVfsFile, self).xWrite(data[: len(data) // 2], offset))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self.countdown.step()
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:
        self.countdown.step()
        super().xTruncate(size)


class Segment(NamedTuple):
    file: str
    bytes: int
    checksum: str
    column: str = "id"
    kind: str = "equality"
    spec: Any = {}  # noqa: RUF012


def index_builder(file_system: FileSystem) -> Any:
    """Write one segment that holds the ids as text."""

    def build(batches: Any, row_count: int, folder: Path) -> Sequence[Segment]:
        content = repr([value for batch in batches for value in batch["id"].to_pylist()]).encode()
        name = f"id.{os.getpid()}.seg"
        with file_system.write_aside(folder / name) as file:
            file_system.write(file, content)
        return [Segment(name, len(content), checksum_bytes(content))]

    return build


def act(scenario: str, folder: Path, file_system: FileSystem) -> None:
    target = folder / "s.esker"
    tier = DiskTier(folder / "tier", file_system=file_system)
    options: dict[str, Any] = {"index_builder": index_builder(file_system), "file_system": file_system, "tier": tier}
    with QueryContext(budget=MemoryBudget("64MiB"), threads=1) as context:
        batches = iter(SALES.to_batches())
        if scenario == "append":
            append(target, batches, context=context, **options)
        else:
            freeze(batches, SALES.schema, target, hot_columns=["id"], split_by="month", context=context, **options)


def rows_of(folder: Path) -> int:
    """Check all that a reader can see; gives the number of rows, 0 when there is no data set."""
    try:
        catalog = FrozenCatalog.open(folder / "s.esker", tier=DiskTier(folder / "tier"))
    except InputFileError as error:
        assert any(words in str(error) for words in ("no such folder", "no catalog.db", "not finished")), error
        return 0
    with catalog, QueryContext(threads=1) as context:
        catalog.verify(deep=True)
        ids = [value for part in catalog.read_hot(["id"], context) for value in part.batch["id"].to_pylist()]
        assert ids == list(range(40)) * (catalog.row_count // 40)
        (segment,) = catalog.segments
        assert (catalog.index_folder / segment.file).read_text() == repr(ids)
        return catalog.row_count


def referenced(folder: Path) -> set[str]:
    with FrozenCatalog.open(folder / "s.esker") as catalog:
        return {
            "s.esker/catalog.db",
            *(f"s.esker/keys/{part.file}" for part in catalog.parts),
            *(f"s.esker/index/{segment.file}" for segment in catalog.segments),
            *(f"tier/{frozen.extent.key}" for frozen in catalog.extents),
        }


def check(scenario: str, folder: Path) -> None:
    before, after = (0, 40) if scenario == "freeze" else (40, 80)
    found = rows_of(folder)
    assert found in (before, after), f"{found} rows"
    if found:
        collect_garbage(folder / "s.esker")
        assert rows_of(folder) == found, "collecting garbage changes nothing that is committed"
        assert files(folder) == referenced(folder)
    if found == before:
        act(scenario, folder, LOCAL)
        assert rows_of(folder) == after
    assert files(folder) == referenced(folder)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def in_child(work: Callable[[], object]) -> int:
    """Run in a forked child; its wait status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitpid(child, 0)[1]


def killed(scenario: str, folder: Path, kill_at: int) -> None:
    countdown = Countdown(kill_at)
    vfs = KillingVfs(countdown)
    act(scenario, folder, KillingFileSystem(countdown))
    del vfs
    (folder.parent / "operations").write_text(str(countdown.operations))


def main(scenario: str, folder: Path, stride: int) -> None:
    base, work = folder / "base", folder / "work"
    os.environ["ESKER_SPILL_FOLDER"] = str(folder / "spill")
    (folder / "spill").mkdir()
    base.mkdir()
    if scenario == "append":
        assert in_child(lambda: act("freeze", base, LOCAL)) == 0
    kill_at, kills = 1, 0
    while True:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        at = kill_at
        status = in_child(lambda: killed(scenario, work, at))  # noqa: B023
        if status not in (0, signal.SIGKILL):
            sys.exit(f"{scenario} failed before operation {kill_at} with status {status}")
        if in_child(lambda: check(scenario, work)):
            sys.exit(f"after a kill at operation {kill_at} of {scenario}, the data set is not as promised")
        if status == 0:
            break
        kills += 1
        kill_at += stride
    operations = int((folder / "operations").read_text())
    assert kill_at > operations > 60, f"only {operations} operations: is the seam still in use?"
    print(f"{scenario}: {kills} kills over {operations} operations")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
