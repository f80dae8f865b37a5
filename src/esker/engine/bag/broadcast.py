"""Broadcast values: written once, mapped by every worker that asks.

    +----------+----------------+------+---------+----------+-----
    | count u64| sizes u64, ... | zero | pickle  | buffer 1 | ...
    +----------+----------------+------+---------+----------+-----

Buffers, such as those of NumPy arrays, begin at multiples of 64 bytes and are not copied: all workers see the same
pages. The file is private to the process that made it, and goes with the broadcast or with the process.
"""

from __future__ import annotations

import mmap
import os
import struct
import weakref
from pathlib import Path
from typing import Any

from esker.core.spill import SpillFolder
from esker.errors import EskerError, SpillError
from esker.runtime.pickled import dump, load

_SIZE = struct.Struct("<Q")
_ALIGNMENT = 64
# What this process has mapped, by path: a worker keeps a value from task to task.
_LOADED: dict[str, Any] = {}


class Broadcast:
    """A value for functions of a Bag that goes to each process once; made by `esker.broadcast`."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._folder = SpillFolder()
        self._path = ""
        self._released = False
        self._finalizer = weakref.finalize(self, self._folder.close)

    @property
    def value(self) -> Any:
        """The value; EskerError once it was released."""
        self._require_kept()
        return self._value

    def release(self) -> None:
        """Free the value; functions that use it fail from now on."""
        self._released = True
        self._value = None
        self._finalizer()

    def _require_kept(self) -> None:
        if self._released:
            raise EskerError("a broadcast was used after it was released: make it again with esker.broadcast(value)")

    def __reduce__(self) -> tuple[Any, ...]:
        self._require_kept()
        if not self._path:
            self._path = _write(self._folder, self._value)
        return _InTask, (self._path,)

    def __repr__(self) -> str:
        return f"Broadcast({'released' if self._released else type(self._value).__name__})"


class _InTask(Broadcast):
    """A broadcast in another process."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def value(self) -> Any:
        if self._path not in _LOADED:
            for known in [path for path in _LOADED if not Path(path).exists()]:
                del _LOADED[known]
            _LOADED[self._path] = _read(self._path)
        return _LOADED[self._path]

    def release(self) -> None:
        raise EskerError("a broadcast is released where it was made, not within a function of a Bag")

    def __reduce__(self) -> tuple[Any, ...]:
        return _InTask, (self._path,)

    def __repr__(self) -> str:
        return "Broadcast(in a task)"


def _write(folder: SpillFolder, value: Any) -> str:
    data, buffers = dump(value)
    parts = [memoryview(data), *buffers]
    head = _SIZE.pack(len(parts)) + b"".join(_SIZE.pack(part.nbytes) for part in parts)
    path, fd = folder.new_file("broadcast")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(head)
            for part in parts:
                file.write(bytes(-file.tell() % _ALIGNMENT))
                file.write(part)
    except OSError as error:
        raise folder.failure(error, sum(part.nbytes for part in parts)) from error
    return str(path)


def _read(path: str) -> Any:
    try:
        with Path(path).open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    except OSError as error:
        raise SpillError(f"a broadcast value cannot be read from {path}: {error.strerror}") from error
    count = _SIZE.unpack_from(data)[0]
    sizes = [_SIZE.unpack_from(data, _SIZE.size * (number + 1))[0] for number in range(count)]
    parts = []
    place = _SIZE.size * (count + 1)
    for size in sizes:
        place += -place % _ALIGNMENT
        parts.append(data[place : place + size])
        place += size
    return load(parts[0], parts[1:])


def broadcast(value: Any) -> Broadcast:
    """Lay a value where functions of a Bag read it; it is sent to each worker process once, not with each task.

    >>> import esker
    >>> names = esker.broadcast({1: "one", 2: "two"})
    >>> esker.of([2, 1]).map(lambda n: names.value[n]).collect()
    ['two', 'one']

    Arrays in it are shared by all workers, and read-only there. `release()` frees it.
    """
    return Broadcast(value)
