"""Counts of elements by ranges."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isinf, isnan
from typing import Any

from esker.errors import EmptyBagError, InputError, OptionError


class Histogram:
    """Count the elements of a partition between edges, which must rise."""

    def __init__(self, edges: Sequence[Any]) -> None:
        if len(edges) < 2:
            raise OptionError("histogram: give at least two edges, or a number of buckets")
        try:
            rising = all(low < high for low, high in pairwise(edges))
        except TypeError as error:
            raise OptionError(f"histogram: edges {list(edges)[:5]} cannot be compared") from error
        if not rising:
            raise OptionError("histogram: the edges must rise, without repeating")
        self._edges = edges

    def __call__(self, elements: Iterator[Any]) -> list[int]:
        edges, last = self._edges, len(self._edges) - 2
        counts = [0] * (last + 1)
        low, high = edges[0], edges[-1]
        for element in elements:
            if element is None or element != element or not low <= element <= high:
                continue
            counts[min(bisect_right(edges, element) - 1, last)] += 1
        return counts


def bounds(elements: Iterator[Any]) -> tuple[Any, ...]:
    """The least and the greatest element, None and NaN apart."""
    low = high = None
    for element in elements:
        if element is None or element != element:
            continue
        if low is None or element < low:
            low = element
        if high is None or element > high:
            high = element
    return () if low is None else (low, high)


def even_edges(parts: Sequence[tuple[Any, ...]], buckets: int) -> list[Any]:
    """Edges at one distance from the least element to the greatest, whole numbers where they can be."""
    if buckets < 1:
        raise OptionError(f"histogram({buckets}): give at least 1 bucket")
    found = [part for part in parts if part]
    if not found:
        raise EmptyBagError("histogram of a Bag without elements; give the edges")
    low, high = min(part[0] for part in found), max(part[1] for part in found)
    if buckets == 1 or low == high:
        return [low, high]
    try:
        distance = (high - low) / buckets
    except TypeError as error:
        raise InputError(
            "histogram: elements that are no numbers need edges, as in histogram(['a', 'm', 'z'])"
        ) from error
    if isinf(distance) or isnan(distance):
        raise InputError("histogram: elements reach to infinity; give the edges")
    if isinstance(low, int) and isinstance(high, int) and (high - low) % buckets == 0:
        return [*range(low, high, (high - low) // buckets), high]
    return [*(low + n * distance for n in range(buckets)), high]
