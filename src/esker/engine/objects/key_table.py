"""Keys and what their values came to so far, within a number of bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from esker.engine.objects.codec import dump_one
from esker.engine.objects.combine import Combine
from esker.engine.objects.keys import plain_key

#: What an entry takes beside its key and its value: dict slot, list, stack.
_ENTRY_BYTES = 250
#: One value in so many is weighed where weighing means pickling; the others are taken to be like it.
_WEIGHED_EVERY = 16
#: A pickled object is about half of what it takes in memory.
_UNPICKLED = 2
_WEIGHTLESS = frozenset({int, float, bool, type(None)})
_ATOMS = frozenset({str, bytes}) | _WEIGHTLESS


class Scale:
    """Weighs objects: texts and numbers each, others now and then."""

    def __init__(self) -> None:
        self._seen = 0
        self._last = 64

    def weigh(self, item: Any) -> int:
        """About how many bytes `item` takes."""
        kind = type(item)
        if kind in _ATOMS:
            return sys.getsizeof(item)
        if kind is tuple and len(item) <= 8 and all(type(part) in _ATOMS for part in item):
            return sys.getsizeof(item) + sum(map(sys.getsizeof, item))
        self._seen += 1
        if self._seen % _WEIGHED_EVERY == 1:
            self._last = exact_weight(item)
        return self._last


def exact_weight(item: Any) -> int:
    """About how many bytes `item` takes, by pickling it."""
    if type(item) in _ATOMS:
        return sys.getsizeof(item)
    return sys.getsizeof(item) + _UNPICKLED * len(dump_one(item))


class Merged(NamedTuple):
    """A key, what its values came to, and where it came first."""

    place: int
    plain: Any
    key: Any
    state: Any


class KeyTable:
    """A dict from keys to combiners, in order of first appearance, that says when it is full.

    A balanced combination keeps for each key a stack of partial results of falling size, 2^k values each, and merges
    two of like size as soon as there are two: each value takes part in log n merges, and their order is kept.
    """

    def __init__(self, combine: Combine, memory_bytes: int) -> None:
        self._combine = combine
        self._memory_bytes = memory_bytes
        self._entries: dict[Any, list[Any]] = {}
        self._scale = Scale()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def full(self) -> bool:
        """Whether it has taken its bytes; asked when it seems so, it looks more closely."""
        if self._bytes < self._memory_bytes:
            return False
        self._bytes = self._weigh_again()
        # Values that shrink what they are merged into were counted and are gone: room for as many again.
        return self._bytes * 4 > self._memory_bytes * 3

    def add_value(self, place: int, key: Any, value: Any) -> None:
        """Merge a value into its key's combiner."""
        plain = plain_key(key)
        entry = self._entries.get(plain)
        if entry is None:
            state = self._combine.create(value)
            self._insert(place, plain, key, state)
        elif self._combine.balanced:
            self._push(entry, 0, value)
            self._bytes += self._growth(value)
        else:
            entry[2] = self._combine.merge_value(entry[2], value)
            self._bytes += self._growth(value)

    def add_state(self, place: int, key: Any, state: Any) -> None:
        """Merge a combiner into its key's combiner."""
        plain = plain_key(key)
        entry = self._entries.get(plain)
        if entry is None:
            self._insert(place, plain, key, state)
        else:
            if self._combine.balanced:
                self._push(entry, 0, state)
            else:
                entry[2] = self._combine.merge_combiners(entry[2], state)
            self._bytes += self._growth(state)

    def drain(self) -> Iterator[Merged]:
        """Give every key with its combiner, and be empty."""
        filled, self._entries = self._entries, {}
        self._bytes = 0
        for plain, (place, key, state) in filled.items():
            yield Merged(place, plain, key, self._collapse(state))

    def largest_key(self) -> Any:
        """The key whose combiner takes most."""
        return max(self._entries.values(), key=lambda entry: exact_weight(entry[2]))[1]

    def _insert(self, place: int, plain: Any, key: Any, state: Any) -> None:
        self._entries[plain] = [place, key, [(0, state)] if self._combine.balanced else state]
        self._bytes += _ENTRY_BYTES + self._scale.weigh(key) + self._scale.weigh(state)

    def _push(self, entry: list[Any], level: int, value: Any) -> None:
        stack = entry[2]
        while stack and stack[-1][0] == level:
            value = self._combine.merge_combiners(stack.pop()[1], value)
            level += 1
        stack.append((level, value))

    def _collapse(self, state: Any) -> Any:
        if not self._combine.balanced:
            return state
        _, value = state.pop()
        while state:
            value = self._combine.merge_combiners(state.pop()[1], value)
        return value

    def _growth(self, value: Any) -> int:
        return 0 if type(value) in _WEIGHTLESS else self._scale.weigh(value)

    def _weigh_again(self) -> int:
        entries = list(self._entries.values())
        step = max(len(entries) // 256, 1)
        looked_at = entries[::step]
        weight = sum(_ENTRY_BYTES + exact_weight(entry[1]) + exact_weight(entry[2]) for entry in looked_at)
        return weight * len(entries) // max(len(looked_at), 1)
