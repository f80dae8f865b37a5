"""Where the items of a par come from, cut into chunks that depend on nothing but the number of items."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, cast

from esker.errors import OptionError
from esker.runtime.pickled import Shared

# Enough that the last ones to end are small beside the whole, whatever each item costs; more would cost more to send.
CHUNKS = 256
CHUNK_ITEMS_MAX = 4096
# Of an iterable whose end is not known chunks begin with one item, and double after so many of them.
CHUNKS_OF_A_SIZE = 16
GROWN_ITEMS_MAX = 1024


@dataclass(frozen=True)
class Chunk:
    """Items that one task works on: the number of the first, and what the source makes them of."""

    first: int
    content: Any


class Source(ABC):
    """Items, cut into chunks by the driver; `items` makes them again where the task runs."""

    @abstractmethod
    def chunks(self, size: int | None) -> Iterator[Chunk]:
        """Cut, lazily; `size` is the user's choice of items a chunk."""

    def items(self, content: Any) -> Iterable[Any]:
        """The items of a chunk; called in the worker."""
        return content  # type: ignore[no-any-return]  # what was packed there


def chunk_items(length: int, size: int | None) -> int:
    """Choose how many items are a chunk.

    >>> chunk_items(100, None), chunk_items(100_000, None), chunk_items(10**9, None), chunk_items(100, 7)
    (1, 391, 4096, 7)
    """
    return size or max(1, min(math.ceil(length / CHUNKS), CHUNK_ITEMS_MAX))


def spans(length: int, size: int | None) -> Iterator[tuple[int, int]]:
    """Cut 0 to `length` into spans of a chunk each."""
    step = chunk_items(length, size)
    return ((begin, min(begin + step, length)) for begin in range(0, length, step))


class Slices(Source):
    """The items of a sequence: a chunk is a slice."""

    def __init__(self, sequence: Sequence[Any]) -> None:
        self._sequence = sequence

    def chunks(self, size: int | None) -> Iterator[Chunk]:
        return (Chunk(begin, self._sequence[begin:end]) for begin, end in spans(len(self._sequence), size))

    def __reduce__(self) -> tuple[Any, ...]:
        # A task has its slice: the whole stays here.
        return Slices, ((),)


class Iterated(Source):
    """The items of an iterable, read as chunks are asked for; the first chunks are small."""

    def __init__(self, iterable: Iterable[Any]) -> None:
        self._iterable = iterable

    def chunks(self, size: int | None) -> Iterator[Chunk]:
        iterator = iter(self._iterable)
        first = 0
        for number in count():
            wanted = size or min(1 << number // CHUNKS_OF_A_SIZE, GROWN_ITEMS_MAX)
            items = list(islice(iterator, wanted))
            if not items:
                return
            yield Chunk(first, items)
            first += len(items)

    def __reduce__(self) -> tuple[Any, ...]:
        return Iterated, ((),)


class Combinations(Source):
    """All combinations of `k` items, in the order of itertools: a chunk is a span of their numbers."""

    def __init__(self, pool: Sequence[Any], k: int) -> None:
        if k < 0:
            raise OptionError(f"combinations of {k} items: 0 is the least")
        self._pool = pool if isinstance(pool, Shared) else Shared(pool)
        self._k = k

    def chunks(self, size: int | None) -> Iterator[Chunk]:
        length = math.comb(len(self._pool.value), self._k)
        return (Chunk(begin, (begin, end)) for begin, end in spans(length, size))

    def items(self, content: tuple[int, int]) -> Iterator[tuple[Any, ...]]:
        begin, end = content
        pool = self._pool.value
        return (tuple(pool[n] for n in chosen) for chosen in numbered_combinations(len(pool), self._k, begin, end))

    def __reduce__(self) -> tuple[Any, ...]:
        return Combinations, (self._pool, self._k)


def numbered_combinations(n: int, k: int, begin: int, end: int) -> Iterator[tuple[int, ...]]:
    """Give the combinations numbered `begin` to `end` of range(n), in the order of itertools.combinations.

    >>> list(numbered_combinations(4, 2, 2, 5))
    [(0, 3), (1, 2), (1, 3)]
    """
    if begin >= end:
        return
    chosen = unrank(n, k, begin)
    yield tuple(chosen)
    for _ in range(begin + 1, end):
        # The last position that can still move does, and those behind it follow it closely.
        position = next(p for p in range(k - 1, -1, -1) if chosen[p] != n - k + p)
        chosen[position] += 1
        for behind in range(position + 1, k):
            chosen[behind] = chosen[behind - 1] + 1
        yield tuple(chosen)


def unrank(n: int, k: int, number: int) -> list[int]:
    """Find the combination with this number (the combinatorial number system).

    >>> unrank(4, 2, 3)
    [1, 2]
    """
    chosen: list[int] = []
    candidate = 0
    for left in range(k, 0, -1):
        while number >= (begun := math.comb(n - candidate - 1, left - 1)):
            number -= begun
            candidate += 1
        chosen.append(candidate)
        candidate += 1
    return chosen


class Cartesian(Source):
    """All pairs of an item of the first and one of the second sequence, the second running faster."""

    def __init__(self, left: Any, right: Any) -> None:
        self._left = left if isinstance(left, Shared) else Shared(left)
        self._right = right if isinstance(right, Shared) else Shared(right)

    def chunks(self, size: int | None) -> Iterator[Chunk]:
        length = len(self._left.value) * len(self._right.value)
        return (Chunk(begin, (begin, end)) for begin, end in spans(length, size))

    def items(self, content: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
        left, right = self._left.value, self._right.value
        width = len(right)
        return ((left[number // width], right[number % width]) for number in range(*content))

    def __reduce__(self) -> tuple[Any, ...]:
        return Cartesian, (self._left, self._right)


def source_of(items: Iterable[Any]) -> Source:
    """Cut what can be sliced by slices, and read the rest."""
    if isinstance(items, Sequence):
        return Slices(items)
    if hasattr(items, "__array_interface__") and hasattr(items, "__getitem__"):
        return Slices(cast("Sequence[Any]", items))  # an array of NumPy
    if not isinstance(items, Iterable):
        raise OptionError(f"par takes an iterable, not {type(items).__name__}")
    return Iterated(items)
