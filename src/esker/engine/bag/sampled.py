"""Chance for the elements of a partition: by seed and partition number, whatever worker, timing or try."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, compress, islice, pairwise, repeat
from typing import Any

from esker.engine.bag.task_state import current_task
from esker.errors import OptionError

# Drawn at a time; NumPy draws many numbers for the price of one call.
_DRAWN = 1024


@dataclass(frozen=True)
class Sampled:
    """Keep elements by chance."""

    fraction: float
    seed: int
    replacement: bool

    def __call__(self, index: int, elements: Iterator[Any]) -> Iterator[Any]:
        from esker.core.seeded import generator

        chance = generator(self.seed, index)
        while batch := list(islice(elements, _DRAWN)):
            if self.replacement:
                times = chance.poisson(self.fraction, _DRAWN)[: len(batch)]
                yield from chain.from_iterable(map(repeat, batch, times.tolist()))
            else:
                yield from compress(batch, (chance.random(_DRAWN)[: len(batch)] < self.fraction).tolist())


@dataclass(frozen=True)
class SampledBetween:
    """Keep the elements whose number, drawn from 0 to 1, lies in a range; with ranges side by side, a division."""

    low: float
    high: float
    seed: int

    def __call__(self, index: int, elements: Iterator[Any]) -> Iterator[Any]:
        from esker.core.seeded import generator

        chance = generator(self.seed, index)
        while batch := list(islice(elements, _DRAWN)):
            drawn = chance.random(_DRAWN)[: len(batch)]
            yield from compress(batch, ((drawn >= self.low) & (drawn < self.high)).tolist())


@dataclass(frozen=True)
class DrawLots:
    """Give each element of a partition a random number, and keep those with the least."""

    limit: int
    seed: int

    def __call__(self, elements: Iterator[Any]) -> list[tuple[float, Any]]:
        from esker.core.seeded import generator

        chance = generator(self.seed, _partition())
        held: list[tuple[float, Any]] = []
        while batch := list(islice(elements, max(_DRAWN, self.limit))):
            held += zip(chance.random(len(batch)).tolist(), batch, strict=True)
            held.sort(key=lambda lot: lot[0])
            del held[self.limit :]
        return held


@dataclass(frozen=True)
class AtPlaces:
    """The elements of a partition at given places, which ascend: of `places`, those of this partition's number."""

    places: tuple[tuple[int, ...], ...]

    def __call__(self, elements: Iterator[Any]) -> dict[int, Any]:
        found, before = {}, 0
        for place in dict.fromkeys(sorted(self.places[_partition()])):
            found[place] = next(islice(elements, place - before, None))
            before = place + 1
        return found


def _partition() -> int:
    task = current_task()
    assert task is not None, "chance belongs to a partition"
    return task.partition


def drawn_places(counts: Sequence[int], limit: int, seed: int) -> list[tuple[int, ...]]:
    """Draw places among all elements: for each partition those in it, in the order of the draws."""
    from esker.core.seeded import generator

    total = sum(counts)
    starts = [0, *accumulate(counts)]
    drawn = generator(seed).integers(0, total, limit).tolist() if total else []
    parts: list[list[int]] = [[] for _ in counts]
    for place in drawn:
        partition = bisect_right(starts, place) - 1
        parts[partition].append(place - starts[partition])
    return [tuple(part) for part in parts]


def put_in_order(wanted: Sequence[tuple[int, ...]], found: Sequence[dict[int, Any]]) -> list[Any]:
    """The elements drawn, partition by partition."""
    return [part[place] for places, part in zip(wanted, found, strict=True) for place in places]


def sampling_ranges(weights: Sequence[float]) -> list[tuple[float, float]]:
    """Cut 0 to 1 in proportion to weights.

    >>> sampling_ranges([1, 3])
    [(0.0, 0.25), (0.25, 1.0)]
    """
    total = sum(weights)
    if not weights or min(weights) < 0 or not total > 0:
        raise OptionError(f"random_split({list(weights)}): give weights of at least 0, one of them more")
    edges = [0.0, *(edge / total for edge in accumulate(weights))]
    edges[-1] = 1.0
    return [*pairwise(edges)]
