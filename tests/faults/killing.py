"""Change something in children that are killed at the n-th operation, and check what each leaves.

One counter runs over every operation on files and on SQLite's databases (through a VFS). A child is killed (SIGKILL)
before the chosen operation, or half-way through a write; then another looks. Everything happens in forked children, so
that the parent never has a second thread when it forks.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import apsw

from esker.core.file_system import LOCAL, FileSystem
from tests.unit.frozen.tools import MEMORY_FOLDER

ROOT = Path(__file__).parents[2]
Act = Callable[[str, Path, FileSystem], None]


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


def killed(act: Act, scenario: str, folder: Path, kill_at: int) -> None:
    countdown = Countdown(kill_at)
    vfs = KillingVfs(countdown)
    act(scenario, folder, KillingFileSystem(countdown))
    del vfs
    (folder.parent / "operations").write_text(str(countdown.operations))


def kill_everywhere(
    act: Act,
    check: Callable[[str, Path], None],
    before: Sequence[str],
    *,
    scenario: str,
    folder: Path,
    stride: int,
    operations_min: int,
) -> None:
    """Kill `scenario` at every `stride`-th operation, each time from what the scenarios `before` made."""
    base, work = folder / "base", folder / "work"
    os.environ["ESKER_SPILL_FOLDER"] = str(folder / "spill")
    (folder / "spill").mkdir()
    base.mkdir()
    for step in before:
        assert in_child(lambda step=step: act(step, base, LOCAL)) == 0
    kill_at, kills = 1, 0
    while True:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        at = kill_at
        status = in_child(lambda: killed(act, scenario, work, at))  # noqa: B023
        if status not in (0, signal.SIGKILL):
            sys.exit(f"{scenario} failed before operation {kill_at} with status {status}")
        if in_child(lambda: check(scenario, work)):
            sys.exit(f"after a kill at operation {kill_at} of {scenario}, things are not as promised")
        if status == 0:
            break
        kills += 1
        kill_at += stride
    operations = int((folder / "operations").read_text())
    assert kill_at > operations > operations_min, f"only {operations} operations: is the seam still in use?"
    print(f"{scenario}: {kills} kills over {operations} operations")


@contextmanager
def fast_folder() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of syncs take minutes on a busy disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER, prefix="esker-test-") as made:
        yield Path(made).resolve()


def run(module: str, scenario: str, folder: Path, stride: int) -> str:
    """Run a module of kills in a process of its own; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, scenario, str(folder), str(stride)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout
