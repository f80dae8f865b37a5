"""Columns of fixed width in private files: appended once, mapped when read."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from esker.core.spill import SpillFolder
from esker.errors import SpillError
from esker.graph.workspace import Array


class ColumnFile:
    """A file of values of one type, written by appending.

    >>> with SpillFolder() as folder, ColumnFile(folder, "n", np.uint32) as file:
    ...     file.append(np.arange(3))
    ...     file.read().tolist()
    [0, 1, 2]
    """

    def __init__(self, folder: SpillFolder, name: str, dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.length = 0
        self._folder = folder
        self._path, self._fd = _new_file(folder, name)
        # Asked once a file: it looks at the disk.
        self._room = folder.room_bytes

    def append(self, values: Array) -> None:
        """Write `values` at the end; SpillError when the disk or the cap is full."""
        data = np.ascontiguousarray(values, self.dtype).view(np.uint8).data
        if (self.length + len(values)) * self.dtype.itemsize > self._room:
            raise SpillError(
                f"the graph's edges take more than the {self._room:,} bytes left in {self._folder.root}: raise"
                " spill_limit=, or set spill_folder= to another disk"
            )
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise self._folder.failure(error, len(data)) from error
        self.length += len(values)

    def read(self) -> Array:
        """Map what was written; the mapping stays good when the file is removed."""
        return map_file(self._path, self.dtype, self.length)

    def remove(self) -> None:
        """Close and remove the file."""
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the descriptor; calling it again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> ColumnFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def map_file(path: Path, dtype: npt.DTypeLike, length: int) -> Array:
    """Map a file read-only, as a plain array."""
    if not length:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r", shape=(length,)).view(np.ndarray)


def _new_file(folder: SpillFolder, name: str) -> tuple[Path, int]:
    try:
        return folder.new_file(name)
    except OSError as error:
        raise folder.failure(error) from error
