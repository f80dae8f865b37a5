"""Figures with bounds, from the partitions that were done in time.

The sum over partitions not seen is estimated from those seen: their number is a binomial variable, their values have
the mean and variance of what was seen, and both are independent. Bounds come from the normal distribution, from
Student's below 100 values (Abramowitz and Stegun, 26.7.3 and 26.7.4, for whole degrees of freedom).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

from esker.compat.pyspark.statcounter import StatCounter

_NORMAL_FROM = 100


class BoundedFloat(float):
    """A figure with its confidence, and the bounds it lies between with that confidence.

    >>> BoundedFloat(100.0, 0.95, 95.0, 105.0).low
    95.0
    """

    confidence: float
    low: float
    high: float

    def __new__(cls, mean: float, confidence: float, low: float, high: float) -> BoundedFloat:
        figure = float.__new__(cls, mean)
        figure.confidence, figure.low, figure.high = confidence, low, high
        return figure

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundedFloat, (float(self), self.confidence, self.low, self.high)


NOTHING_SEEN = BoundedFloat(0.0, 0.0, -math.inf, math.inf)


def exact(figure: float) -> BoundedFloat:
    """Give a figure of all partitions."""
    return BoundedFloat(figure, 1.0, figure, figure)


def bounded_mean(seen: StatCounter, confidence: float) -> BoundedFloat:
    """Bound the mean of all values by those seen."""
    if seen.n == 0:
        return NOTHING_SEEN
    if seen.n == 1:
        return BoundedFloat(seen.mean(), confidence, -math.inf, math.inf)
    spread = quantile(seen.n, confidence) * math.sqrt(seen.sampleVariance() / seen.n)
    return BoundedFloat(seen.mean(), confidence, seen.mean() - spread, seen.mean() + spread)


def bounded_sum(seen: StatCounter, share: float, confidence: float) -> BoundedFloat:
    """Bound the sum of all values, of which those in a share of the partitions were seen."""
    if seen.n == 0:
        return NOTHING_SEEN
    mean = seen.mean()
    unseen = seen.n * (1 - share) / share
    total = seen.sum() + mean * unseen
    if seen.n == 1:
        return BoundedFloat(total, confidence, -math.inf, math.inf)
    mean_variance = seen.sampleVariance() / seen.n
    unseen_variance = unseen / share
    # The variance of a product of independent variables.
    variance = mean**2 * unseen_variance + unseen**2 * mean_variance + mean_variance * unseen_variance
    spread = quantile(seen.n, confidence) * math.sqrt(variance)
    return BoundedFloat(total, confidence, total - spread, total + spread)


def quantile(count: int, confidence: float) -> float:
    """Give how many standard deviations to each side hold a share `confidence`.

    >>> round(quantile(1000, 0.95), 3), round(quantile(11, 0.95), 3), round(quantile(2, 0.9), 3)
    (1.96, 2.228, 6.314)
    """
    if confidence >= 1:
        return math.inf
    if count > _NORMAL_FROM:
        return NormalDist().inv_cdf((1 + confidence) / 2)
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, count - 1) < confidence else (low, middle)
    return math.sqrt(count - 1) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """Give the share of Student's distribution within plus and minus sqrt(freedom) * tan(angle)."""
    sine, square = math.sin(angle), math.cos(angle) ** 2
    if freedom % 2 == 0:
        term = total = 1.0
        for k in range(1, freedom // 2):
            term *= square * (2 * k - 1) / (2 * k)
            total += term
        return sine * total
    term = total = math.cos(angle) if freedom > 1 else 0.0
    for k in range(1, (freedom - 1) // 2):
        term *= square * 2 * k / (2 * k + 1)
        total += term
    return 2 / math.pi * (angle + sine * total)
