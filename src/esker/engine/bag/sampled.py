"""Chance for the elements of a partition: by seed and partition number, whatever worker, timing or try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, compress, islice, pairwise, repeat
from typing import Any

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
