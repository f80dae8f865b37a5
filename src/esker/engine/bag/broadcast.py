"""Broadcast values: written once, mapped by every worker that asks.

    +----------+----------------+------+---------+----------+-----
    | count u64| sizes u64, ... | zero | pickle  | buffer 1 | ...
    +----------+----------------+------+---------+----------+-----

Buffers, such as those of NumPy arrays, begin at multiples of 64 bytes and are not copied: all workers see the same
pages. The file is private to the process that made it, and goes with the broadcast or with the process. Where workers
are at machines that share no folder, each machine has a copy, fetched by the first of its tasks that asks.
"""

from __future__ import annotations

import mmap
import os
import struct
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from esker.core.checksum import checksum_file
from esker.core.file_system import LOCAL
from esker.core.spill import SpillFolder
from esker.engine.session import Session, current_session
from esker.errors import EskerError, SpillError
from esker.runtime.pickled import dump, load

if TYPE_CHECKING:
    from esker.shuffle.file_bytes import FilePart
    from esker.shuffle.page_server import Places

T = TypeVar("T")

_SIZE = struct.Struct("<Q")
_ALIGNMENT = 64
# What this process has mapped, by path: a worker keeps a value from task to task.
_LOADED: dict[str, Any] = {}


class Broadcast(Generic[T]):
    """A value for functions of a Bag that goes to each process once; made by `esker.broadcast`."""

    def __init__(self, value: T) -> None:
        self._value: T | None = value
        self._folder = SpillFolder()
        self._path = ""
        self._given: GivenFile | None = None
        self._released = False
        self._finalizer = weakref.finalize(self, self._folder.close)

    @property
    def value(self) -> T:
        """The value; EskerError once it was released."""
        self._require_kept()
        return cast(T, self._value)

    def release(self) -> None:
        """Free the value; functions that use it fail from now on."""
        self._released = True
        self._value = None
        self._finalizer()
        given, self._given = self._given, None
        if given is not None:
            given.remove()

    def _require_kept(self) -> None:
        if self._released:
            raise EskerError("a broadcast was used after it was released: make it again with esker.broadcast(value)")

    def __reduce__(self) -> tuple[Any, ...]:
        self._require_kept()
        session = current_session()
        if session is not None and session.spread:
            if self._given is None or self._given.session is not session:
                self._given = GivenFile(session, self._value)
            return _InTask, (self._given.path, self._given.reading())
        if not self._path:
            self._path = _write(self._folder, self._value)
        return _InTask, (self._path,)

    def __repr__(self) -> str:
        return f"Broadcast({'released' if self._released else type(self._value).__name__})"


class _InTask(Broadcast[Any]):
    """A broadcast in another process."""

    def __init__(self, path: str, elsewhere: Elsewhere | None = None) -> None:
        self._path = path
        self._elsewhere = elsewhere

    @property
    def value(self) -> Any:
        if self._path not in _LOADED:
            for known in [path for path in _LOADED if not Path(path).exists()]:
                del _LOADED[known]
            here = self._path if self._elsewhere is None else self._elsewhere.at_hand(self._path)
            if here not in _LOADED:
                _LOADED[here] = _read(here)
            return _LOADED[here]
        return _LOADED[self._path]

    def release(self) -> None:
        raise EskerError("a broadcast is released where it was made, not within a function of a Bag")

    def __reduce__(self) -> tuple[Any, ...]:
        return _InTask, (self._path, self._elsewhere)

    def __repr__(self) -> str:
        return "Broadcast(in a task)"


class GivenFile:
    """A broadcast in the folder of the script that a server gives to other machines, while the session is open."""

    def __init__(self, session: Session, value: Any) -> None:
        self.session = session
        self._pages = session.pages()
        self._shuffle = self._pages.new_shuffle()
        self._giver = self._pages.giver()
        self.path = _write(self._giver.folder, value, f"{self._shuffle}-broadcast")
        file = Path(self.path)
        self._pages.give(file)
        from esker.shuffle.file_bytes import FilePart

        self._part = FilePart(
            self._giver.node, file.name, 0, file.stat().st_size, int(checksum_file(file).removeprefix("crc32:"), 16)
        )

    def reading(self) -> Elsewhere:
        """What a task is told."""
        return Elsewhere(self._part, self._giver.location, self._pages.places(), self._shuffle)

    def remove(self) -> None:
        """Remove the file, and its copies."""
        Path(self.path).unlink(missing_ok=True)
        if not self.session.closed:
            self._pages.remove(self._shuffle)


@dataclass(frozen=True)
class Elsewhere:
    """Where a task finds a broadcast: a file of the script's machine, or a copy in the folder of its own node."""

    part: FilePart
    location: str
    places: Places
    shuffle: str

    def at_hand(self, path: str) -> str:
        """The file on this machine; the first who asks copies it."""
        from esker.runtime.flight import open_client
        from esker.shuffle.file_bytes import FileReader

        node = self.places.here()
        if node == self.part.node and Path(path).exists():
            return path
        place = self.places.nodes.get(node)
        if place is None:
            from esker.engine.page_nodes import NoPlaceError

            raise NoPlaceError.of(node)
        copy = Path(place.folder, f"{self.shuffle}-copy")
        if copy.exists():
            return str(copy)
        security = self.places.security
        with FileReader(lambda _: open_client(self.location, security), security) as reader:
            _copy(reader.read(self.part), copy)
        return str(copy)


def _copy(data: Iterator[bytes], target: Path) -> None:
    """Write aside and rename, so that those who look meanwhile find all of it, or nothing."""
    try:
        with LOCAL.name_aside(target) as aside, LOCAL.open_new(aside) as file:
            file.writelines(data)
    except OSError as error:
        if isinstance(error, EskerError):
            raise
        raise SpillError(f"a broadcast value cannot be kept in {target.parent}: {error.strerror}") from error


def _write(folder: SpillFolder, value: Any, name: str = "broadcast") -> str:
    data, buffers = dump(value)
    parts = [memoryview(data), *buffers]
    head = _SIZE.pack(len(parts)) + b"".join(_SIZE.pack(part.nbytes) for part in parts)
    path, fd = folder.new_file(name)
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


def broadcast(value: T) -> Broadcast[T]:
    """Lay a value where functions of a Bag read it; it is sent to each worker process once, not with each task.

    >>> import esker
    >>> names = esker.broadcast({1: "one", 2: "two"})
    >>> esker.of([2, 1]).map(lambda n: names.value[n]).collect()
    ['two', 'one']

    Arrays in it are shared by all workers, and read-only there. `release()` frees it.
    """
    return Broadcast(value)
