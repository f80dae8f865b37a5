"""The accountant of a process tree: one budget, reservations by operator (contracts, 1)."""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path
from types import TracebackType

from esker.core.byte_size import parse_bytes
from esker.errors import MemoryBudgetExceededError, OptionError

# Below this the fixed parts (a batch in flight on each side, the smallest page of each partition) leave no room.
MEMORY_MIN_BYTES = 16 << 20


@functools.cache
def machine_memory_bytes() -> int:
    """Physical memory, or the cgroup's limit where that is smaller, in bytes; looked up once a process."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            limit = path.read_text().strip()
        except OSError:
            continue
        if limit.isdigit():
            return min(physical, int(limit))
    return physical


def file_cache_bytes() -> int:
    """Bytes that the system could now give to the pages of mapped files; 0 where it does not say.

    Those are no part of a budget, but a file that is read here and there wants to stay in memory.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = int((group / "memory.max").read_text()), int((group / "memory.current").read_text())
        files = next(line for line in (group / "memory.stat").read_text().splitlines() if line.startswith("file "))
    except (OSError, ValueError, StopIteration):  # no cgroup, or one without a limit ("max")
        return free
    return min(free, limit - used + int(files.split()[1]))


class Reservation:
    """Bytes an operator holds; give them back with `release` or a `with` block. One owner, no locking of its own."""

    def __init__(self, budget: MemoryBudget, operator: str) -> None:
        self._budget = budget
        self.operator = operator
        self.bytes = 0

    def resize(self, size_bytes: int, *, largest_key: object = None) -> None:
        """Hold exactly `size_bytes`; raises MemoryBudgetExceededError when growing does not fit."""
        if not self.try_resize(size_bytes):
            raise self._budget.exceeded(self.operator, size_bytes - self.bytes, largest_key)

    def try_resize(self, size_bytes: int) -> bool:
        """Hold exactly `size_bytes` if that fits; say whether it did."""
        return self._budget._resize(self, size_bytes)

    def release(self) -> None:
        """Give everything back; calling it again does nothing."""
        self._budget._resize(self, 0)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class MemoryBudget:
    """The bytes of a query, handed out to its operators.

    >>> budget = MemoryBudget("64MiB")
    >>> with budget.reserve("shuffle", 60 << 20):
    ...     budget.reserve("join", 8 << 20)
    Traceback (most recent call last):
        ...
    esker.errors.MemoryBudgetExceededError: join needs 8,388,608 bytes of memory, but only 4,194,304 of the budget \
of 67,108,864 are left (shuffle holds 62,914,560); raise memory= or use more partitions [ESK-301]
    >>> budget.held_bytes
    0
    """

    def __init__(self, memory: int | str | None = None) -> None:
        self.total_bytes = parse_bytes(memory, "memory") if memory is not None else machine_memory_bytes() // 2
        if self.total_bytes < MEMORY_MIN_BYTES:
            raise OptionError(f"memory={memory!r} is too small; the least is {MEMORY_MIN_BYTES >> 20}MiB")
        #: Whether somebody chose it; otherwise it is half of the machine.
        self.is_chosen = memory is not None
        self._lock = threading.Lock()
        self._held = 0
        self._peak = 0
        self._holders: dict[int, Reservation] = {}

    @property
    def held_bytes(self) -> int:
        """Bytes handed out now."""
        return self._held

    @property
    def peak_bytes(self) -> int:
        """The most that was handed out at one time."""
        return self._peak

    @property
    def free_bytes(self) -> int:
        """Bytes left to hand out."""
        return self.total_bytes - self._held

    def reserve(self, operator: str, size_bytes: int = 0) -> Reservation:
        """Hand out `size_bytes` to `operator`; raises MemoryBudgetExceededError when they are not there."""
        reservation = Reservation(self, operator)
        reservation.resize(size_bytes)
        return reservation

    def holders(self) -> dict[str, int]:
        """Who holds how much, by operator."""
        with self._lock:
            return self._holders_locked()

    def exceeded(self, operator: str, bytes_wanted: int, largest_key: object = None) -> MemoryBudgetExceededError:
        """The error that tells who wanted what and who holds the rest."""
        return MemoryBudgetExceededError.of(
            operator, bytes_wanted, self.total_bytes, self.holders(), largest_key=largest_key
        )

    def _holders_locked(self) -> dict[str, int]:
        held: dict[str, int] = {}
        for reservation in self._holders.values():
            held[reservation.operator] = held.get(reservation.operator, 0) + reservation.bytes
        return held

    def _resize(self, reservation: Reservation, size_bytes: int) -> bool:
        assert size_bytes >= 0, "a reservation cannot be negative"
        with self._lock:
            held = self._held + size_bytes - reservation.bytes
            if held > self.total_bytes and size_bytes > reservation.bytes:
                return False
            self._held = held
            self._peak = max(self._peak, held)
            reservation.bytes = size_bytes
            if size_bytes:
                self._holders[id(reservation)] = reservation
            else:
                self._holders.pop(id(reservation), None)
            return True
