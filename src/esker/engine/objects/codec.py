"""Objects as bytes, for private spill files and pipes of a running query, and for nothing else (contracts, 3)."""

from __future__ import annotations

import pickle  # noqa: TID251  # private spill files and pipes only
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from esker.kernel import _kernel

_PROTOCOL = 5
#: Objects made at a time.
_BATCH = 1024
#: A pickled object is about half of what it takes in memory.
_UNPICKLED = 2
#: What is weighed exactly.
_ATOMS = frozenset({str, bytes, int, float, bool, type(None)})


def dump_many(items: list[Any]) -> bytes:
    """Write a list of objects as a block of items.

    >>> list(load_many(dump_many(["a", (1, None), [2.5], {"b": {1}}])))
    ['a', (1, None), [2.5], {'b': {1}}]

    Texts, numbers, bytes, tuples of them, and lists and dicts of these are written by the kernel; others are pickled
    one by one. Pickling pairs costs six times as much, mostly for the table of what was written already
    (research/collections.md, section 1).
    """
    return _kernel.encode_items(items, dump_one)


def load_many(block: bytes | memoryview) -> Iterator[Any]:
    """Read what `dump_many` wrote, an object at a time.

    Raises CorruptError when the bytes are damaged.
    """
    items: Iterator[Any] = iter(_kernel.ItemReader(block, load_one))
    return items


def in_batches(take: Any) -> Iterator[Any]:
    """Chain the lists that `take(count)` gives until one is empty."""
    return chain.from_iterable(lists_of(take))


def lists_of(take: Any) -> Iterator[list[Any]]:
    """Give the lists that `take(count)` gives until one is empty."""
    return iter(lambda: take(_BATCH), [])


def dump_one(item: Any) -> bytes:
    """Write one object; functions and classes of the user's main program too, by value.

    >>> load_one(dump_one(lambda x: x + 1))(1)
    2
    """
    try:
        return pickle.dumps(item, _PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        import cloudpickle

        data: bytes = cloudpickle.dumps(item, _PROTOCOL)
        return data


def load_one(data: bytes | memoryview) -> Any:
    """Read what `dump_one` wrote."""
    return pickle.loads(data)


def weight(item: Any) -> int:
    """About how many bytes `item` takes in memory: exact for texts and numbers, else by pickling it."""
    if type(item) in _ATOMS:
        return sys.getsizeof(item)
    return sys.getsizeof(item) + _UNPICKLED * len(dump_one(item))


class Scale:
    """Weighs objects: texts and numbers each, others now and then."""

    _EVERY = 16

    def __init__(self) -> None:
        self._seen = 0
        self._last = 64

    def weigh(self, item: Any) -> int:
        """About how many bytes `item` takes."""
        if type(item) in _ATOMS:
            return sys.getsizeof(item)
        if self._seen % self._EVERY == 0:
            self._last = weight(item)
        self._seen += 1
        return self._last

    def weigh_all(self, items: Sequence[Any]) -> int:
        """About how many bytes they take together."""
        # Texts and numbers at the speed of C: most are nothing else.
        return sum(map(sys.getsizeof if _ATOMS.issuperset(map(type, items)) else self.weigh, items))


def batches(items: Iterable[Any], *, items_max: int, bytes_max: int) -> Iterator[list[Any]]:
    """Cut items into lists of at most `items_max`, and of about `bytes_max`."""
    scale = Scale()
    batch: list[Any] = []
    held = 0
    for item in items:
        batch.append(item)
        held += scale.weigh(item)
        if len(batch) >= items_max or held > bytes_max:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
