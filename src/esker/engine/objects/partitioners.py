"""Which partition a key goes to. A partitioner is a value: it pickles, and compares by what it does."""

from __future__ import annotations

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

from esker.engine.objects.keys import stable_hash
from esker.errors import InputError, OptionError


class Partitioner(Protocol):
    """Gives each key the number of its partition, from 0 to `partition_count` - 1."""

    @property
    def partition_count(self) -> int:
        """How many partitions there are."""

    def __call__(self, key: Any) -> int:
        """The partition of `key`."""


@dataclass(frozen=True)
class HashPartitioner:
    """Spread keys by `stable_hash`: integers lie at their remainder, None at 0.

    >>> [HashPartitioner(4)(key) for key in (5, 5.0, None)]
    [1, 1, 0]
    """

    partition_count: int

    def __post_init__(self) -> None:
        _require_partitions(self.partition_count)

    def __call__(self, key: Any) -> int:
        return stable_hash(key) % self.partition_count


@dataclass(frozen=True)
class FunctionPartitioner:
    """Ask a function for a number, and take its remainder.

    >>> FunctionPartitioner(3, len)("four")
    1
    """

    partition_count: int
    function: Callable[[Any], Any]

    def __post_init__(self) -> None:
        _require_partitions(self.partition_count)

    def __call__(self, key: Any) -> int:
        number = self.function(key)
        try:
            return operator.index(number) % self.partition_count
        except TypeError:
            # Whole floats are numbers of partitions too, as in Spark.
            if isinstance(number, float) and number.is_integer():
                return int(number) % self.partition_count
            raise InputError(f"the partition function gave {number!r} for key {key!r}; it must give an int") from None


@dataclass(frozen=True)
class NumberPartitioner:
    """Take the key for the number of its partition.

    >>> NumberPartitioner(3)(2)
    2
    """

    partition_count: int

    def __post_init__(self) -> None:
        _require_partitions(self.partition_count)

    def __call__(self, key: Any) -> int:
        if not 0 <= key < self.partition_count:
            raise InputError(f"key {key!r} is no partition from 0 to {self.partition_count - 1}")
        return int(key)


@dataclass(frozen=True)
class RangePartitioner:
    """Cut the order of keys at `bounds`, ascending: what equals a bound lies below it.

    `key` gives what to order a pair's key by. With `descending` the greatest keys are in partition 0.

    >>> [RangePartitioner((10, 20))(key) for key in (3, 10, 11, 99)]
    [0, 0, 1, 2]
    >>> [RangePartitioner((10, 20), descending=True)(key) for key in (3, 10, 11, 99)]
    [2, 2, 1, 0]
    """

    bounds: tuple[Any, ...]
    descending: bool = False
    key: Callable[[Any], Any] | None = None

    @cached_property
    def partition_count(self) -> int:
        """One more than the bounds."""
        return len(self.bounds) + 1

    @cached_property
    def quickly(self) -> Callable[[Any], int]:
        """The same function, without a call in Python where that can be."""
        return self if self.descending or self.key is not None else partial(bisect_left, self.bounds)

    def __call__(self, key: Any) -> int:
        place = bisect_left(self.bounds, key if self.key is None else self.key(key))
        return len(self.bounds) - place if self.descending else place


def range_bounds(
    samples: Sequence[KeySample], partition_count: int, key: Callable[[Any], Any] | None = None
) -> tuple[Any, ...]:
    """Choose up to `partition_count` - 1 bounds that cut the sampled keys into parts of even size.

    >>> range_bounds([KeySample(9, tuple(range(9)))], 3)
    (2, 5)

    Each sample stands for as many keys as its input partition has. Equal keys are never cut apart, so there may be
    fewer bounds.
    """
    _require_partitions(partition_count)
    weighted = [
        (part if key is None else key(part), sample.count / len(sample.keys))
        for sample in samples
        for part in sample.keys
    ]
    weighted.sort(key=lambda pair: pair[0])
    total = sum(weight for _, weight in weighted)
    bounds: list[Any] = []
    passed = 0.0
    for place, weight in weighted:
        passed += weight
        # The sum of the weights may miss the total by its rounding.
        wanted = total * (len(bounds) + 1) / partition_count - total * 1e-9
        if passed >= wanted and len(bounds) < partition_count - 1 and (not bounds or bounds[-1] < place):
            bounds.append(place)
    if bounds and bisect_right([place for place, _ in weighted], bounds[-1]) == len(weighted):
        bounds.pop()
    return tuple(bounds)


@dataclass(frozen=True)
class KeySample:
    """Keys drawn from an input partition of `count` keys."""

    count: int
    keys: tuple[Any, ...]


def _require_partitions(partition_count: int) -> None:
    if partition_count < 1:
        raise OptionError(f"partitions={partition_count} is too few; the least is 1")
