"""What actions make of one partition, and how the parts become one. All of it goes to other processes."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain, islice
from math import sqrt
from typing import Any

_NOTHING: Any = object()


@dataclass(frozen=True)
class Reduce:
    """Combine elements from left to right; nothing where there are none."""

    function: Callable[[Any, Any], Any]

    def __call__(self, elements: Iterator[Any]) -> tuple[Any, ...]:
        function = self.function
        total = next(elements, _NOTHING)
        if total is _NOTHING:
            return ()
        for element in elements:
            total = function(total, element)
        return (total,)


@dataclass(frozen=True)
class Fold:
    """Combine elements from left to right, beginning with a zero of this partition's own."""

    zero: Any
    function: Callable[[Any, Any], Any]

    def __call__(self, elements: Iterator[Any]) -> Any:
        function, total = self.function, deepcopy(self.zero)
        for element in elements:
            total = function(total, element)
        return total


@dataclass(frozen=True)
class Take:
    """The first few."""

    limit: int

    def __call__(self, elements: Iterator[Any]) -> list[Any]:
        return list(islice(elements, self.limit))


@dataclass(frozen=True)
class Smallest:
    """The least few, in order; of equal ones those that came first. `largest`: the greatest."""

    limit: int
    key: Callable[[Any], Any] | None
    largest: bool = False

    def __call__(self, elements: Iterable[Any]) -> list[Any]:
        choose = heapq.nlargest if self.largest else heapq.nsmallest
        return choose(self.limit, elements, self.key)


@dataclass(frozen=True)
class Extreme:
    """The least or greatest element, the first of equal ones; nothing where there are none."""

    key: Callable[[Any], Any] | None
    largest: bool

    def __call__(self, elements: Iterator[Any]) -> tuple[Any, ...]:
        first = next(elements, _NOTHING)
        if first is _NOTHING:
            return ()
        choose = max if self.largest else min
        return (choose(chain((first,), elements), key=self.key),)

    def better(self, left: Any, right: Any) -> Any:
        """The one of two to keep; `left` came first."""
        a, b = (left, right) if self.key is None else (self.key(left), self.key(right))
        return right if (b > a if self.largest else b < a) else left


@dataclass(frozen=True)
class ForEach:
    """Call a function with each element, for what it does."""

    function: Callable[[Any], Any]

    def __call__(self, elements: Iterator[Any]) -> None:
        function = self.function
        for element in elements:
            function(element)


@dataclass(frozen=True)
class ForPartition:
    """Call a function with the whole partition; what it makes is made, and dropped."""

    function: Callable[[Iterator[Any]], Any]

    def __call__(self, elements: Iterator[Any]) -> None:
        made = self.function(elements)
        if isinstance(made, Iterator):
            for _ in made:
                pass


@dataclass(frozen=True)
class ValuesOf:
    """The values of one key."""

    key: Any

    def __call__(self, pairs: Iterator[Any]) -> list[Any]:
        key = self.key
        return [pair[1] for pair in pairs if pair[0] == key]


def count_values(elements: Iterator[Any]) -> dict[Any, int]:
    """How often each element occurs."""
    counts: dict[Any, int] = {}
    for element in elements:
        counts[element] = counts.get(element, 0) + 1
    return counts


@dataclass(frozen=True)
class Statistics:
    """Count, mean, variance, least and greatest of numbers; merged without a second look at them.

    >>> Statistics.of(iter([1, 2, 3, 4])).mean
    2.5
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    min: float = float("inf")
    max: float = float("-inf")

    @staticmethod
    def of(elements: Iterator[Any]) -> Statistics:
        """The statistics of numbers (Welford 1962: one pass, without cancellation)."""
        count, mean, squares, least, greatest = 0, 0.0, 0.0, float("inf"), float("-inf")
        for element in elements:
            count += 1
            difference = element - mean
            mean += difference / count
            squares += difference * (element - mean)
            if element < least:
                least = element
            if element > greatest:
                greatest = element
        return Statistics(count, mean, squares, least, greatest)

    def merged(self, other: Statistics) -> Statistics:
        """Both together (Chan, Golub and LeVeque 1979)."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        difference = other.mean - self.mean
        return Statistics(
            count,
            self.mean + difference * other.count / count,
            self.squares + other.squares + difference * difference * self.count * other.count / count,
            min(self.min, other.min),
            max(self.max, other.max),
        )

    @property
    def sum(self) -> float:
        """The sum."""
        return self.mean * self.count

    @property
    def variance(self) -> float:
        """The variance of the elements as the whole population; not a number where there are none."""
        return self.squares / self.count if self.count else float("nan")

    @property
    def sample_variance(self) -> float:
        """The variance that a sample lets expect (n - 1); not a number below two elements."""
        return self.squares / (self.count - 1) if self.count > 1 else float("nan")

    @property
    def stdev(self) -> float:
        """The square root of `variance`."""
        return sqrt(self.variance)

    @property
    def sample_stdev(self) -> float:
        """The square root of `sample_variance`."""
        return sqrt(self.sample_variance)
