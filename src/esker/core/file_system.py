"""The one seam to the local file system: durable writes, and a place for tests to inject faults.

Commit order of every file Esker writes under a final name: temporary name in the same folder, write, fsync, rename,
fsync the folder (contracts, 4).
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from esker.errors import OutputExistsError

# A half-written file carries this in its name, so that a later run knows it for garbage.
ASIDE_MARK = ".esker-aside-"


class FileSystem:
    """Local files. Tests replace it with one that tears writes, fills up or loses what was not synced."""

    def open_new(self, path: Path) -> BinaryIO:
        """Create a file that nobody else can read until it is published; fails if it exists."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return os.fdopen(fd, "w+b")

    def write(self, file: BinaryIO, data: bytes | memoryview) -> None:
        """Write all of `data`."""
        file.write(data)

    def sync(self, file: BinaryIO) -> None:
        """Flush the file down to the device."""
        file.flush()
        os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """Put `source` in place of `target`, atomically."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Make renames and deletes in `folder` durable."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def delete(self, path: Path) -> None:
        """Remove a file; a missing one is fine."""
        path.unlink(missing_ok=True)

    @contextmanager
    def write_aside(self, target: Path, *, overwrite: bool = False, mode: int = 0o644) -> Iterator[BinaryIO]:
        """Yield a file that becomes `target` when the block ends well, and leaves nothing when it does not.

        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with LOCAL.write_aside(folder / "rows.bin") as file:
        ...     _ = file.write(b"whole")
        >>> (folder / "rows.bin").read_bytes(), len(list(folder.iterdir()))
        (b'whole', 1)

        Raises OutputExistsError before anything is written when `target` exists and `overwrite` is False.
        """
        with self.path_aside(target, overwrite=overwrite, mode=mode) as aside:
            file = self.open_new(aside)
            try:
                yield file
                self.sync(file)
            finally:
                file.close()

    @contextmanager
    def path_aside(self, target: Path, *, overwrite: bool = False, mode: int = 0o644) -> Iterator[Path]:
        """As `write_aside`, for writers that want a path; the caller syncs, or the rename does it for them."""
        if not overwrite and target.exists():
            raise OutputExistsError(f"{target} exists already; choose another name or remove it")
        with self.name_aside(target) as aside:
            yield aside
            fd = os.open(aside, os.O_RDONLY)
            try:
                os.fchmod(fd, mode)
                os.fsync(fd)
            finally:
                os.close(fd)
        self.sync_folder(target.parent)

    @contextmanager
    def name_aside(self, target: Path) -> Iterator[Path]:
        """Yield a path of which `target` is made, or made anew, when the block ends well; nothing is synced.

        For what is synced with its folder, or goes with the query: who looks finds all of it, or nothing.
        """
        aside = target.with_name(f".{target.name}{ASIDE_MARK}{secrets.token_hex(4)}")
        try:
            yield aside
            self.rename(aside, target)
        except BaseException:
            with suppress(OSError):
                self.delete(aside)
            raise

    @contextmanager
    def folder_aside(self, target: Path, *, overwrite: bool = False) -> Iterator[Path]:
        """Yield a new private folder that becomes `target`, with all in it synced, when the block ends well.

        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with LOCAL.folder_aside(folder / "out") as aside:
        ...     with WITHIN_ASIDE.write_aside(aside / "rows.bin") as file:
        ...         _ = file.write(b"whole")
        ...     (folder / "out").exists()
        False
        >>> [path.name for path in (folder / "out").iterdir()], len(list(folder.iterdir()))
        (['rows.bin'], 1)

        With `overwrite` a folder that is there is exchanged for the new one in one step where the system can, and
        removed; OutputExistsError says that it is there without.
        """
        _require_room(target, overwrite)
        aside = target.with_name(f".{target.name}{ASIDE_MARK}{secrets.token_hex(4)}")
        aside.mkdir(mode=0o700)
        try:
            yield aside
            self.sync_tree(aside)
            aside.chmod(0o755)
            _require_room(target, overwrite)
            if target.exists():
                self.exchange(aside, target)
            else:
                self.rename(aside, target)
            self.sync_folder(target.parent)
        finally:
            # What was not published, or what was replaced.
            shutil.rmtree(aside, ignore_errors=True)

    def sync_tree(self, folder: Path) -> None:
        """Flush every file and folder below `folder`, and itself, down to the device."""
        for place, _, names in os.walk(folder):
            for name in names:
                fd = os.open(f"{place}/{name}", os.O_RDONLY)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            self.sync_folder(Path(place))

    def exchange(self, new: Path, old: Path) -> None:
        """Let two folders change names: at once where the system can, else `old` is not there for a moment."""
        if _exchange(new, old):
            return
        kept = old.with_name(f".{old.name}{ASIDE_MARK}{secrets.token_hex(4)}")
        self.rename(old, kept)
        try:
            self.rename(new, old)
        except BaseException:
            self.rename(kept, old)
            raise
        self.rename(kept, new)

    def sweep_aside(self, folder: Path) -> list[Path]:
        """Remove what a killed writer left in `folder`; returns what was removed."""
        swept = [path for path in folder.glob(f".*{ASIDE_MARK}*") if path.is_file()]
        for path in swept:
            self.delete(path)
        return swept


class WithinAside(FileSystem):
    """Files of a folder that is itself aside: under their final names at once, synced with the folder.

    The device is asked to begin writing when a file is closed, so that there is little left to wait for at the end.
    """

    @contextmanager
    def write_aside(self, target: Path, *, overwrite: bool = False, mode: int = 0o644) -> Iterator[BinaryIO]:
        with self.open_new(target) as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            _begin_writing(file.fileno())


LOCAL = FileSystem()
WITHIN_ASIDE = WithinAside()

_C = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SYNC_FILE_RANGE_WRITE = 2


def _require_room(target: Path, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(target):
        raise OutputExistsError(f"{target} exists already; choose another name or remove it")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputExistsError(f"{target} is not a folder; choose another name or remove it")


def _exchange(new: Path, old: Path) -> bool:
    if not hasattr(_C, "renameat2"):
        return False
    done = _C.renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), ctypes.c_uint(_RENAME_EXCHANGE))
    return bool(done == 0)


def _begin_writing(fd: int) -> None:
    # A hint: where there is no such call, or it fails, the sync that follows has more to do.
    if hasattr(_C, "sync_file_range"):
        _C.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))
