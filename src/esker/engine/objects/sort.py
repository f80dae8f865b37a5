"""Sorting pairs by key: a sample for the ranges, sorted runs, and their merge."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import itemgetter
from typing import Any

from esker.engine.calling import calling
from esker.engine.objects.codec import Scale, batches, in_batches
from esker.engine.objects.collect import collect
from esker.engine.objects.combine import itself
from esker.engine.objects.groups import record_batches
from esker.engine.objects.partitioners import HashPartitioner, KeySample
from esker.engine.objects.runs import MappedFiles, Runs, RunWriter, Section, SpillPlace

_PAIR_BYTES = 100
_PASSED_OVER_MAX = 1 << 62
_END = object()
_first = itemgetter(0)


def sample_keys(keys: Iterable[Any], *, sample_size: int, seed: int, stream: int) -> KeySample:
    """Draw up to `sample_size` keys, each as likely as another; `stream` is the number of the input partition.

    >>> sample = sample_keys(range(1000), sample_size=3, seed=7, stream=0)
    >>> sample.count, len(sample.keys), sample == sample_keys(range(1000), sample_size=3, seed=7, stream=0)
    (1000, 3, True)
    """
    reservoir = _Reservoir(sample_size, seed, stream)
    count = sum(1 for _ in reservoir.watched(iter(keys), itself))
    return KeySample(count, reservoir.keys)


def spool(
    pairs: Iterable[tuple[Any, Any]],
    *,
    place: SpillPlace,
    memory_bytes: int,
    sample_size: int,
    seed: int,
    stream: int,
    key: Callable[[Any], Any] | None = None,
) -> tuple[Runs, KeySample]:
    """Keep pairs to be read again with `records`, and draw a sample of their keys (of `key` of them, where given).

    For ranges that must be known before pairs can be placed, when what gives the pairs should run once.
    """
    reservoir = _Reservoir(sample_size, seed, stream)
    drawn = reservoir.watched(iter(pairs), _first if key is None else lambda pair: key(pair[0]))
    runs = collect(drawn, HashPartitioner(1), place=place, memory_bytes=memory_bytes, shape="records")
    return runs, KeySample(sum(runs.record_counts), reservoir.keys)


def sorted_records(
    sections: Iterable[Section],
    *,
    place: SpillPlace,
    memory_bytes: int,
    key: Callable[[Any], Any] | None = None,
    reverse: bool = False,
    operator: str = "sort by key",
) -> Iterator[tuple[Any, Any]]:
    """Sort pairs by their key, or by `key` of it; pairs with equal keys keep their order, with `reverse` too.

    What does not fit `memory_bytes` is written as sorted runs, which are merged. What `key` raises, or a comparison of
    keys, comes as a CallFailure that names `operator`.
    """
    order = _first if key is None else lambda pair: key(pair[0])
    with RunWriter(place.below("sort"), 1) as writer, calling(operator):
        try:
            held: list[tuple[Any, Any]] = []
            held_bytes = 0
            scale = Scale()
            for batch in record_batches(sections):
                held += batch
                held_bytes += _weigh(batch, scale)
                if held_bytes > memory_bytes:
                    held.sort(key=order, reverse=reverse)
                    _write(held, writer)
                    held, held_bytes = [], 0
            held.sort(key=order, reverse=reverse)
            files = MappedFiles()
            # A run is read some pairs at a time.
            streams = [in_batches(files.pairs(section).take) for section in writer.runs.sections(0)]
            yield from heapq.merge(*streams, held, key=order, reverse=reverse) if streams else held
        finally:
            writer.runs.remove()


def _weigh(pairs: list[tuple[Any, Any]], scale: Scale) -> int:
    keys, values = zip(*pairs, strict=True)
    return len(pairs) * _PAIR_BYTES + scale.weigh_all(keys) + scale.weigh_all(values)


def _write(held: list[tuple[Any, Any]], writer: RunWriter) -> None:
    writer.write_batches("records", batches(held, items_max=1024, bytes_max=1 << 20))


class _Reservoir:
    """Algorithm L (Li, 1994): says how many keys to pass over before the next is drawn, so that most cost nothing."""

    def __init__(self, size: int, seed: int, stream: int) -> None:
        from esker.core.seeded import generator  # loads NumPy, which other steps do without

        self._size = size
        self._chance = generator(seed, stream)
        self._keys: list[Any] = []

    @property
    def keys(self) -> tuple[Any, ...]:
        """What was drawn."""
        return tuple(self._keys)

    def watched(self, items: Iterator[Any], key_of: Callable[[Any], Any]) -> Iterator[Any]:
        """Give the items on; the key of one that is drawn is looked at when the next item is asked for."""
        for item in islice(items, self._size):
            yield item
            self._keys.append(key_of(item))
        weight = 1.0
        while len(self._keys) == self._size > 0:
            weight *= self._unit() ** (1 / self._size)
            passed_over = math.log(self._unit()) / math.log1p(-weight)
            yield from islice(items, int(min(passed_over, _PASSED_OVER_MAX)))
            item = next(items, _END)
            if item is _END:
                return
            yield item
            self._keys[int(self._chance.integers(self._size))] = key_of(item)
        yield from items

    def _unit(self) -> float:
        """A number between 0 and 1, and neither."""
        return int(self._chance.integers(1, 1 << 53)) / (1 << 53)
