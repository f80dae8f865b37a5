"""Samples that PySpark would draw: the same seed and partitions give the same elements.

PySpark seeds Python's generator with the seed and the partition's number, throws ten first draws away (near seeds begin
alike), then draws once for each element. Programs that fixed a seed keep their sample when they move here.
"""

from __future__ import annotations

import math
import random  # noqa: TID251  # the draws of PySpark are those of this generator
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WARM_UP_DRAWS = 10


# As many standard deviations below the largest integer as keep a sample of that mean from passing it.
_SIZE_MAX = sys.maxsize - int(10.0 * math.sqrt(sys.maxsize))


def chosen_seed(seed: int | None, largest: int = sys.maxsize) -> int:
    """Give the seed, or one that nobody chose."""
    return random.SystemRandom().randint(0, largest) if seed is None else seed


def seeded(seed: int | None) -> random.Random:
    """Make a generator for the driver's own draws."""
    return random.Random(seed)


def next_seed(chance: random.Random) -> int:
    """Draw a seed for another try."""
    return chance.randint(0, sys.maxsize)


def check_size(size: int) -> None:
    """Raise ValueError for a sample size below 0 or too large."""
    if size < 0:
        raise ValueError("Sample size cannot be negative.")
    if size > _SIZE_MAX:
        raise ValueError(f"Sample size cannot be greater than {_SIZE_MAX}.")


def _of_partition(seed: int, index: int) -> random.Random:
    chance = random.Random(seed ^ index)
    for _ in range(_WARM_UP_DRAWS):
        chance.randint(0, 1)
    return chance


def _poisson(chance: random.Random, mean: float) -> int:
    """Draw how often an element is taken, by Knuth's products; of logarithms where they would underflow."""
    count = 0
    if mean < 20.0:
        limit, product = math.exp(-mean), chance.random()
        while product > limit:
            count += 1
            product *= chance.random()
        return count
    total = chance.expovariate(mean)
    while total < 1.0:
        count += 1
        total += chance.expovariate(mean)
    return count


@dataclass(frozen=True)
class Sampler:
    """Take each element with a probability, or, with replacement, as often as a Poisson draw says."""

    withReplacement: bool
    fraction: float
    seed: int

    def __call__(self, index: int, elements: Iterable[Any]) -> Iterator[Any]:
        chance = _of_partition(self.seed, index)
        for element in elements:
            yield from _drawn(element, chance, self.withReplacement, self.fraction)


@dataclass(frozen=True)
class StratifiedSampler:
    """Take each pair with the probability of its key."""

    withReplacement: bool
    fractions: Mapping[Any, float]
    seed: int

    def __call__(self, index: int, pairs: Iterable[Any]) -> Iterator[Any]:
        chance = _of_partition(self.seed, index)
        for key, value in pairs:
            yield from _drawn((key, value), chance, self.withReplacement, self.fractions[key])


@dataclass(frozen=True)
class RangeSampler:
    """Take the elements whose draw lies in a range: ranges that do not meet give samples that do not meet."""

    low: float
    high: float
    seed: int

    def __call__(self, index: int, elements: Iterable[Any]) -> Iterator[Any]:
        chance = _of_partition(self.seed, index)
        for element in elements:
            if self.low <= chance.random() < self.high:
                yield element


def _drawn(element: Any, chance: random.Random, replacing: bool, fraction: float) -> Iterator[Any]:
    if not replacing:
        if chance.random() < fraction:
            yield element
        return
    for _ in range(_poisson(chance, fraction)):
        yield element


def safe_fraction(wanted: int, total: int, replacing: bool) -> float:
    """Give a fraction whose sample has at least `wanted` of `total` elements in 9,999 of 10,000 draws.

    With replacement the count is a Poisson variable: its mean is lifted by 5 standard deviations, 9 for small samples.
    Without it is binomial: the bound is Chernoff's, as in Meng, "Scalable simple random sampling" (ICML 2013).
    """
    fraction = wanted / total
    if replacing:
        return fraction + (9 if wanted < 12 else 5) * math.sqrt(fraction / total)
    gamma = -math.log(5e-5) / total
    return min(1.0, fraction + gamma + math.sqrt(gamma * gamma + 2 * gamma * fraction))
