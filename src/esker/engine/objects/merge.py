"""Merging states by key in bounded memory, keys in the order in which they first appear.

What does not fit is divided by a second hash into files, as states with the place of their key's first appearance.
Each part is merged apart, and the parts' results are woven together by place: so the order of the results does not
depend on how much memory there was.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

from esker.engine.objects.codec import load_many
from esker.engine.objects.collect import batches, encode_pairs
from esker.engine.objects.combine import Combine
from esker.engine.objects.key_table import KeyTable, Merged
from esker.engine.objects.keys import mix, plain_hash
from esker.engine.objects.runs import RunWriter, Section, SpillPlace, entries
from esker.errors import MemoryBudgetExceededError

_PARTS = 16
#: Sixteen times sixteen times ... parts: what does not fit then is one key.
_DEPTH_MAX = 6

#: The place of a pair, its key, its value, and whether that is a state already.
Item = tuple[int, Any, Any, bool]


def merge_by_key(
    items: Iterable[Item], combine: Combine, *, place: SpillPlace, memory_bytes: int, operator: str, depth: int = 0
) -> Iterator[Merged]:
    """Merge the items of each key; gives the keys by the place of their first item.

    Raises MemoryBudgetExceededError, naming the key, when one key's state alone is larger than `memory_bytes`.
    """
    table = KeyTable(combine, memory_bytes)
    with RunWriter(place.below(f"merge{depth}"), _PARTS) as writer:
        for where, key, value, is_state in items:
            (table.add_state if is_state else table.add_value)(where, key, value)
            if table.full:
                if depth == _DEPTH_MAX or len(table) == 1:
                    raise _too_large(table, memory_bytes, operator)
                _divide(table, writer, depth)
        if not writer.runs.runs:
            yield from table.drain()
            return
        if len(table):
            _divide(table, writer, depth)
        try:
            yield from _merge_parts(
                writer, combine, place=place, memory_bytes=memory_bytes, operator=operator, depth=depth
            )
        finally:
            writer.runs.remove()


def _divide(table: KeyTable, writer: RunWriter, depth: int) -> None:
    parts: list[list[tuple[Any, Any]]] = [[] for _ in range(_PARTS)]
    for merged in table.drain():
        # Not the hash that chose the partition: all keys here agree in that.
        part = mix(plain_hash(merged.plain) + depth + 1) % _PARTS
        parts[part].append(((merged.place, merged.key), merged.state))
    writer.write("combined", (map(encode_pairs, batches(part)) for part in parts))


def _merge_parts(
    writer: RunWriter, combine: Combine, *, place: SpillPlace, memory_bytes: int, operator: str, depth: int
) -> Iterator[Merged]:
    with RunWriter(place.below(f"woven{depth}"), 1) as done:
        for part in range(_PARTS):
            states = _states(writer.runs.sections(part))
            merged = merge_by_key(
                states,
                combine,
                place=place.below(str(part)),
                memory_bytes=memory_bytes,
                operator=operator,
                depth=depth + 1,
            )
            pairs = (((one.place, one.key), one.state) for one in merged)
            # Each part's results are read a batch at a time, all parts at once.
            done.write("combined", iter([map(encode_pairs, batches(pairs, memory_bytes // (4 * _PARTS)))]))
        streams = [_states([section]) for section in done.runs.sections(0)]
        try:
            for where, key, state, _ in heapq.merge(*streams, key=lambda item: item[0]):
                yield Merged(where, None, key, state)
        finally:
            done.runs.remove()


def _states(sections: Iterable[Section]) -> Iterator[Item]:
    for section in sections:
        for entry in entries(section):
            for (where, key), state in zip(load_many(entry.keys), load_many(entry.values), strict=True):
                yield where, key, state, True


def _too_large(table: KeyTable, memory_bytes: int, operator: str) -> MemoryBudgetExceededError:
    return MemoryBudgetExceededError.of(
        operator,
        memory_bytes,
        memory_bytes,
        {f"{operator}, {len(table)} keys": memory_bytes},
        largest_key=table.largest_key(),
        advice="raise memory=, or group the values and reduce each group as a stream",
    )
