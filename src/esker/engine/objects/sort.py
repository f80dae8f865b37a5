"""Sorting pairs by key: a sample for the ranges, sorted runs, and their merge."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from esker.engine.calling import calling
from esker.engine.objects.codec import Scale, batches, in_batches
from esker.engine.objects.collect import collect
from esker.engine.objects.groups import records
from esker.engine.objects.partitioners import FunctionPartitioner, KeySample
from esker.engine.objects.runs import MappedFiles, Runs, RunWriter, Section, SpillPlace

_PAIR_BYTES = 100


def sample_keys(keys: Iterable[Any], *, sample_size: int, seed: int, stream: int) -> KeySample:
    """Draw up to `sample_size` keys, each as likely as another; `stream` is the number of the input partition.

    >>> sample = sample_keys(range(1000), sample_size=3, seed=7, stream=0)
    >>> sample.count, len(sample.keys), sample == sample_keys(range(1000), sample_size=3, seed=7, stream=0)
    (1000, 3, True)
    """
    reservoir = _Reservoir(sample_size, seed, stream)
    for key in keys:
        reservoir.offer(key)
    return reservoir.sample()


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

    def watched() -> Iterator[tuple[Any, Any]]:
        for pair in pairs:
            yield pair
            # After `collect` has seen that it is a pair.
            reservoir.offer(pair[0] if key is None else key(pair[0]))

    runs = collect(watched(), FunctionPartitioner(1, _zero), place=place, memory_bytes=memory_bytes, shape="records")
    return runs, reservoir.sample()


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
    order = _by_key if key is None else lambda pair: key(pair[0])
    with RunWriter(place.below("sort"), 1) as writer, calling(operator):
        try:
            held: list[tuple[Any, Any]] = []
            held_bytes = 0
            scale = Scale()
            for pair in records(sections):
                held.append(pair)
                held_bytes += scale.weigh(pair[0]) + scale.weigh(pair[1]) + _PAIR_BYTES
                if held_bytes > memory_bytes:
                    held.sort(key=order, reverse=reverse)
                    _write(held, writer)
                    held, held_bytes = [], 0
            held.sort(key=order, reverse=reverse)
            files = MappedFiles()
            # A run is read some pairs at a time.
            streams = [in_batches(files.pairs(section).take) for section in writer.runs.sections(0)]
            yield from heapq.merge(*streams, held, key=order, reverse=reverse)
        finally:
            writer.runs.remove()


def _write(held: list[tuple[Any, Any]], writer: RunWriter) -> None:
    writer.write_batches("records", batches(held, items_max=1024, bytes_max=1 << 20))


def _by_key(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _zero(key: Any) -> int:
    return 0


class _Reservoir:
    """Algorithm R (Vitter, 1985), its dice thrown a block at a time."""

    _BLOCK = 1024

    def __init__(self, size: int, seed: int, stream: int) -> None:
        from esker.core.seeded import generator  # loads NumPy, which other steps do without

        self._size = size
        self._chance = generator(seed, stream)
        self._keys: list[Any] = []
        self._seen = 0
        self._dice: Iterator[int] = iter(())

    def offer(self, key: Any) -> None:
        self._seen += 1
        if len(self._keys) < self._size:
            self._keys.append(key)
            return
        place = next(self._dice, -1)
        if place < 0:
            bounds = range(self._seen, self._seen + self._BLOCK)
            self._dice = iter(self._chance.integers(0, bounds).tolist())
            place = next(self._dice)
        if place < self._size:
            self._keys[place] = key

    def sample(self) -> KeySample:
        return KeySample(self._seen, tuple(self._keys))
