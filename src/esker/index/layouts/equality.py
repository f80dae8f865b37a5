"""A vector for each slot: any set of slots is the OR of its vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esker.bitmap import Bitmap
from esker.index.layout import Combination, Layout, SlotVectors, Span


class EqualityLayout(Layout):
    """Store the slots' own vectors.

    >>> EqualityLayout().combinations([(2, 4), (6, 7)], 8, ())
    [Combination(operation='unite', vectors=(2, 3, 6))]
    """

    name = "equality"

    def arrange(self, slot_count: int, vectors: SlotVectors, spans: Sequence[Span]) -> Iterator[Bitmap | None]:
        return vectors(range(slot_count))

    def combinations(self, runs: Sequence[Span], slot_count: int, spans: Sequence[Span]) -> list[Combination]:
        slots = tuple(slot for first, stop in runs for slot in range(first, stop))
        return [Combination("unite", slots)] if slots else []
