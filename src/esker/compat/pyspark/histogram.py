"""Counts of values in buckets, by PySpark's rules.

Buckets are open to the right, but the last, which is closed. None and NaN belong to no bucket. Even buckets are found
by a division, others by bisection.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_EVEN_WITHIN = 1e-10


def comparable(value: Any) -> bool:
    """Tell whether a value belongs to any bucket."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))


@dataclass(frozen=True)
class Buckets:
    """Where buckets begin and end; `width` where all are equally wide."""

    edges: Sequence[Any]
    width: Any = None

    def __call__(self, values: Iterable[Any]) -> list[int]:
        """Count the values of a partition by bucket."""
        low, high = self.edges[0], self.edges[-1]
        counts = [0] * len(self.edges)
        for value in values:
            if not comparable(value) or value > high or value < low:
                continue
            counts[int((value - low) / self.width) if self.width else bisect_right(self.edges, value) - 1] += 1
        last = counts.pop()
        counts[-1] += last
        return counts


def given_buckets(edges: Sequence[Any]) -> Buckets:
    """Check edges that the caller gives. Raises ValueError when they are no edges."""
    if len(edges) < 2:
        raise ValueError("buckets should have more than one value")
    if not all(map(comparable, edges)):
        raise ValueError("can not have None or NaN in buckets")
    if sorted(edges) != list(edges):
        raise ValueError("buckets should be sorted")
    if len(set(edges)) != len(edges):
        raise ValueError("buckets should not contain duplicated values")
    try:
        widths = [right - left for left, right in pairwise(edges)]
    except TypeError:
        return Buckets(edges)
    even = max(widths) - min(widths) < _EVEN_WITHIN
    return Buckets(edges, (edges[-1] - edges[0]) / (len(edges) - 1) if even else None)


def even_buckets(low: Any, high: Any, count: int) -> Buckets:
    """Cut a range into buckets of equal width.

    Raises TypeError for what cannot be subtracted, ValueError for infinity.
    """
    try:
        width = (high - low) / count
    except TypeError as error:
        raise TypeError("Can not generate buckets with non-number in RDD") from error
    if math.isinf(width):
        raise ValueError("Can not generate buckets with infinite value")
    # Whole numbers stay whole where they can.
    if int(width) * count == high - low:
        width = int(width)
    return Buckets([*(step * width + low for step in range(count)), high], width)
