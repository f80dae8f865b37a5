"""Values between processes of one user, as bytes: nothing here is ever stored, or read from anybody else.

Three things cost: the memo of pickling (six times on pairs of plain values), copies of large buffers, and functions
that no module holds. So flat lists go without a memo, buffers go out of band (pickle protocol 5), and what pickle
cannot name goes by value (cloudpickle).
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections import ChainMap
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from types import CodeType
from typing import Any, ClassVar

import cloudpickle

Bytes = bytes | bytearray | memoryview

_PLAIN = frozenset({int, float, str, bytes, bool, type(None)})


def _code(code: CodeType) -> Any:
    # cloudpickle names every file "<dynamic-code>", from 3.1.3 on, so that equal functions are equal bytes. Errors are
    # to name the user's own line.
    make, arguments, *rest = cloudpickle.Pickler.dispatch_table[CodeType](code)
    named = tuple(code.co_filename if argument == "<dynamic-code>" else argument for argument in arguments)
    return make, named, *rest


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """cloudpickle's, but functions keep the names of their files."""

    dispatch_table: ClassVar[Any] = ChainMap({CodeType: _code}, cloudpickle.Pickler.dispatch_table)


class Shared:
    """A value that goes to each process once, by its digest: functions, above all.

    >>> first, second = Shared(("map", len)), Shared(("map", len))
    >>> first.digest == second.digest
    True
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self._blob: bytes | None = None
        self._digest = b""

    @property
    def blob(self) -> bytes:
        """The value, pickled once."""
        if self._blob is None:
            file = io.BytesIO()
            Pickler(file, 5).dump(self.value)
            self._blob = file.getvalue()
            self._digest = hashlib.blake2b(self._blob, digest_size=16).digest()
        return self._blob

    @property
    def digest(self) -> bytes:
        """What names the value among processes."""
        if not self._digest:
            _ = self.blob
        return self._digest


def dump(value: Any) -> tuple[Bytes, list[memoryview]]:
    """Pickle a value: its bytes, and the large buffers in it, which are not copied.

    >>> data, buffers = dump([("a", 1), ("b", 2)])
    >>> load(data, buffers)
    [('a', 1), ('b', 2)]
    """
    file = io.BytesIO()
    if type(value) is list and _is_flat(value):
        plain = pickle.Pickler(file, 5)
        plain.fast = True
        plain.dump(value)
        return file.getbuffer(), []
    buffers: list[pickle.PickleBuffer] = []
    Pickler(file, 5, buffer_callback=_large(buffers)).dump(value)
    return file.getbuffer(), [buffer.raw() for buffer in buffers]


def out_of_band(buffers: Iterable[Bytes]) -> list[pickle.PickleBuffer]:
    """Wrap buffers so that another's pickling (Ray's) may hand them on without a copy."""
    return [pickle.PickleBuffer(buffer) for buffer in buffers]


def load(data: Bytes, buffers: Iterable[Bytes] = ()) -> Any:
    """Read what `dump` made."""
    return pickle.loads(data, buffers=buffers)


def _is_flat(values: list[Any]) -> bool:
    """Whether values are plain, or tuples of plain values: without a memo those cannot grow, nor be cyclic."""
    types = set(map(type, values))
    if types <= _PLAIN:
        return True
    return types == {tuple} and set(map(type, chain.from_iterable(values))) <= _PLAIN


# Below this a buffer of its own costs more than its copy.
_BUFFER_BYTES_MIN = 16 << 10


def _large(buffers: list[pickle.PickleBuffer]) -> Callable[[pickle.PickleBuffer], bool]:
    def keep_apart(buffer: pickle.PickleBuffer) -> bool:
        try:
            view = buffer.raw()
        except BufferError:
            return True
        if view.nbytes < _BUFFER_BYTES_MIN:
            return True
        buffers.append(buffer)
        return False

    return keep_apart


class _TaskPickler(Pickler):
    def __init__(self, file: io.BytesIO, buffers: list[pickle.PickleBuffer]) -> None:
        super().__init__(file, 5, buffer_callback=_large(buffers))
        self.shared: dict[bytes, Shared] = {}

    def persistent_id(self, value: Any) -> bytes | None:
        if type(value) is not Shared:
            return None
        self.shared[value.digest] = value
        return value.digest


def dump_task(task: Any) -> tuple[Bytes, list[memoryview], dict[bytes, Shared]]:
    """Pickle a task; what is Shared in it is named, and returned apart."""
    file = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    pickler = _TaskPickler(file, buffers)
    pickler.dump(task)
    return file.getbuffer(), [buffer.raw() for buffer in buffers], pickler.shared


class _TaskUnpickler(pickle.Unpickler):
    def __init__(self, data: Bytes, buffers: Sequence[Bytes], blobs: dict[bytes, bytes]) -> None:
        super().__init__(io.BytesIO(data), buffers=buffers)
        self._blobs = blobs
        self._loaded: dict[bytes, Shared] = {}

    def persistent_load(self, digest: Any) -> Shared:
        # Afresh for each task: what a function keeps in its closure must not pass from partition to partition, or the
        # result would depend on which worker ran which.
        if digest not in self._loaded:
            self._loaded[digest] = Shared(pickle.loads(self._blobs[digest]))
        return self._loaded[digest]


def load_task(data: Bytes, buffers: Sequence[Bytes], blobs: dict[bytes, bytes]) -> Any:
    """Read what `dump_task` made, given the blobs of what is Shared."""
    return _TaskUnpickler(data, buffers, blobs).load()
