"""How PySpark cuts a sequence into partitions.

A range is cut at each partition's share. Anything else is first cut into batches, of which each partition gets its
share: where the batches do not divide evenly, the last partitions get the rest. `glom()` shows it, zip and
zipWithUniqueId depend on it, so it is the same here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any


def slices(elements: Iterable[Any], partition_count: int, batch_max: int) -> list[Sequence[Any]]:
    """Cut into partitions; a range stays ranges.

    >>> slices([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 4, 1024)
    [[0, 1], [2, 3], [4, 5], [6, 7, 8, 9]]
    >>> slices(range(0, 6, 2), 2, 1024)
    [range(0, 2, 2), range(2, 6, 2)]
    """
    if isinstance(elements, range):
        size = len(elements)
        # Spark divides floating-point numbers here; so the same cuts beyond 2**53, too.
        return [
            elements[int(part * size / partition_count) : int((part + 1) * size / partition_count)]
            for part in range(partition_count)
        ]
    items = elements if isinstance(elements, list | tuple) else list(elements)
    batch = max(1, min(len(items) // partition_count, batch_max))
    batches = -(-len(items) // batch)
    edges = [part * batches // partition_count * batch for part in range(partition_count + 1)]
    return [items[start:stop] for start, stop in pairwise(edges)]
