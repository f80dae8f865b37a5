"""Vectors that were read before, kept within a number of bytes: the least recently asked for goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from esker.bitmap import Bitmap
from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget, Reservation

CACHE_BYTES = 64 << 20
# Of the budget of a query, what may be kept while it runs.
BUDGET_SHARE = 8


class VectorCache:
    """Vectors by segment and number; threads may share it.

    >>> cache = VectorCache(10_000)
    >>> cache.put(("a.seg", 1), Bitmap.from_positions([1], 9))
    >>> held, missing = cache.get_many("a.seg", [1, 2])
    >>> held[0].count(), missing
    (1, [2])

    What is kept is charged to every query that is asked meanwhile: `charge` holds an eighth of its budget, and while
    it runs no more than that is kept.
    """

    def __init__(self, bytes_max: int = CACHE_BYTES) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._held: OrderedDict[tuple[str, int], Bitmap] = OrderedDict()
        self._charges: dict[int, Reservation] = {}
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that the vectors take."""
        return self._bytes

    def charge(self, context: QueryContext) -> None:
        """Charge what is kept to a query's budget until its context is closed; charging it again does nothing."""
        budget = context.budget
        with self._lock:
            if id(budget) in self._charges:
                return
            reservation = budget.reserve("vectors kept")
            wanted = min(self._bytes_max, budget.total_bytes // BUDGET_SHARE)
            while not reservation.try_resize(wanted):
                wanted = max(0, min(wanted // 2, budget.free_bytes))
            self._charges[id(budget)] = reservation
            self._evict()
        context.resources.callback(self._uncharge, budget)

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
        with self._lock:
            if key in self._held or _bytes_of(vector) * 8 > self._room:
                return
            self._held[key] = vector
            self._bytes += _bytes_of(vector)
            self._evict()

    @property
    def _room(self) -> int:
        return min([self._bytes_max, *(charge.bytes for charge in self._charges.values())])

    def _evict(self) -> None:
        while self._bytes > self._room:
            self._bytes -= _bytes_of(self._held.popitem(last=False)[1])

    def _uncharge(self, budget: MemoryBudget) -> None:
        with self._lock:
            self._charges.pop(id(budget)).release()


def _bytes_of(vector: Bitmap) -> int:
    """What a vector takes, with the directory it may get when it is asked, and Python's object."""
    return vector.nbytes + vector.nbytes // 4 + 200
