"""Vectors that were read before, kept within a number of bytes: the least recently asked for goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from esker.bitmap import Bitmap

CACHE_BYTES = 64 << 20


class VectorCache:
    """Vectors by segment and number; threads may share it.

    >>> cache = VectorCache(100)
    >>> cache.put(("a.seg", 1), Bitmap.from_positions([1], 9))
    >>> cache.get(("a.seg", 1)).count(), cache.get(("a.seg", 2))
    (1, None)
    """

    def __init__(self, bytes_max: int = CACHE_BYTES) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._held: OrderedDict[tuple[str, int], Bitmap] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int]) -> Bitmap | None:
        """Give a vector that is held."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def get_many(self, file: str, vectors: Iterable[int]) -> tuple[list[Bitmap], list[int]]:
        """Give the vectors of a segment that are held, and the numbers of the others."""
        held: list[Bitmap] = []
        missing: list[int] = []
        with self._lock:
            for vector in vectors:
                key = (file, vector)
                found = self._held.get(key)
                if found is None:
                    missing.append(vector)
                else:
                    self._held.move_to_end(key)
                    held.append(found)
        return held, missing

    def put(self, key: tuple[str, int], vector: Bitmap) -> None:
        """Hold a vector, unless it alone takes an eighth of the room."""
        if vector.nbytes * 8 > self._bytes_max:
            return
        with self._lock:
            if key in self._held:
                return
            self._held[key] = vector
            self._bytes += vector.nbytes
            while self._bytes > self._bytes_max:
                self._bytes -= self._held.popitem(last=False)[1].nbytes
