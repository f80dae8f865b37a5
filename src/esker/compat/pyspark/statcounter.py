"""Count, mean and variance of numbers in one pass, and of two such summaries in one step.

Welford (1962) for one value at a time; Chan, Golub and LeVeque (1979) for two summaries.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import numpy as np


def _larger(a: Any, b: Any) -> Any:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.maximum(a, b)
    return b if b > a or b != b else a  # a NaN stays, as in NumPy


def _smaller(a: Any, b: Any) -> Any:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.minimum(a, b)
    return b if b < a or b != b else a


def _root(value: Any) -> Any:
    return np.sqrt(value) if isinstance(value, np.ndarray) else math.sqrt(value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, np.ndarray) else float(value)


class StatCounter:
    """Summarise numbers, or arrays of equal shape element by element.

    >>> StatCounter([1, 2, 3, 4])
    (count: 4, mean: 2.5, stdev: 1.118033988749895, max: 4.0, min: 1.0)
    >>> StatCounter([1, 2]).mergeStats(StatCounter([3, 4])).sampleVariance()
    1.6666666666666667
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self.n = 0
        self.mu: Any = 0.0
        self.m2: Any = 0.0
        self.maxValue: Any = -math.inf
        self.minValue: Any = math.inf
        for value in values or ():
            self.merge(value)

    def merge(self, value: Any) -> StatCounter:
        """Take in one value."""
        delta = value - self.mu
        self.n += 1
        self.mu = self.mu + delta / self.n
        self.m2 = self.m2 + delta * (value - self.mu)
        self.maxValue = _larger(self.maxValue, value)
        self.minValue = _smaller(self.minValue, value)
        return self

    def mergeStats(self, other: StatCounter) -> StatCounter:
        """Take in another summary. Raises TypeError for anything else."""
        if not isinstance(other, StatCounter):
            raise TypeError(f"Can only merge StatCounter but got {type(other)}")
        if other.n == 0:
            return self
        if self.n == 0:
            self.__dict__.update(copy.deepcopy(other.__dict__))
            return self
        total = self.n + other.n
        delta = other.mu - self.mu
        self.m2 = self.m2 + other.m2 + delta * delta * (self.n * other.n / total)
        # The mean moves from the larger summary's, or is weighed anew where both are alike: less is lost to rounding.
        if other.n * 10 < self.n:
            self.mu = self.mu + delta * (other.n / total)
        elif self.n * 10 < other.n:
            self.mu = other.mu - delta * (self.n / total)
        else:
            self.mu = (self.mu * self.n + other.mu * other.n) / total
        self.maxValue = _larger(self.maxValue, other.maxValue)
        self.minValue = _smaller(self.minValue, other.minValue)
        self.n = total
        return self

    def copy(self) -> StatCounter:
        """Make a summary that is independent of this one."""
        return copy.deepcopy(self)

    def count(self) -> int:
        """Give the number of values."""
        return self.n

    def mean(self) -> Any:
        """Give the mean; 0.0 of nothing, as in Spark."""
        return self.mu

    def sum(self) -> Any:
        """Give the sum."""
        return self.n * self.mu

    def min(self) -> Any:
        """Give the smallest value; infinity of nothing."""
        return _plain(self.minValue)

    def max(self) -> Any:
        """Give the largest value; minus infinity of nothing."""
        return _plain(self.maxValue)

    def variance(self) -> Any:
        """Give the variance, divided by the number of values."""
        return self.m2 / self.n if self.n else math.nan

    def sampleVariance(self) -> Any:
        """Give the variance, divided by one less than the number of values."""
        return self.m2 / (self.n - 1) if self.n > 1 else math.nan

    def stdev(self) -> Any:
        """Give the square root of `variance`."""
        return _root(self.variance())

    def sampleStdev(self) -> Any:
        """Give the square root of `sampleVariance`."""
        return _root(self.sampleVariance())

    def asDict(self, sample: bool = False) -> dict[str, Any]:
        """Give all figures by name.

        As in PySpark, `sample=True` gives the figures of the population, and False those of a sample: programs rely
        on the figures, not on the word.
        """
        return {
            "count": self.count(),
            "mean": self.mean(),
            "sum": self.sum(),
            "min": self.min(),
            "max": self.max(),
            "stdev": self.stdev() if sample else self.sampleStdev(),
            "variance": self.variance() if sample else self.sampleVariance(),
        }

    def __repr__(self) -> str:
        return (
            f"(count: {self.count()}, mean: {self.mean()}, stdev: {self.stdev()}, max: {self.max()}, min: {self.min()})"
        )
