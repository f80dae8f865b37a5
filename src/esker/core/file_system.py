"""The one seam to the local file system: durable writes, and a place for tests to inject faults.

Commit order of every file Esker writes under a final name: temporary name in the same folder, write, fsync, rename,
fsync the folder (contracts, 4).
"""

from __future__ import annotations

import os
import secrets
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
        aside = target.with_name(f".{target.name}{ASIDE_MARK}{secrets.token_hex(4)}")
        try:
            yield aside
            fd = os.open(aside, os.O_RDONLY)
            try:
                os.fchmod(fd, mode)
                os.fsync(fd)
            finally:
                os.close(fd)
            self.rename(aside, target)
            self.sync_folder(target.parent)
        except BaseException:
            with suppress(OSError):
                self.delete(aside)
            raise

    def sweep_aside(self, folder: Path) -> list[Path]:
        """Remove what a killed writer left in `folder`; returns what was removed."""
        swept = [path for path in folder.glob(f".*{ASIDE_MARK}*") if path.is_file()]
        for path in swept:
            self.delete(path)
        return swept


LOCAL = FileSystem()
