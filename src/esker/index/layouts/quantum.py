"""A vector for each slot, and one for each longer stretch of time: a run of slots is the OR of the longest within."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esker.bitmap import Bitmap, union
from esker.index.layout import Combination, Layout, SlotVectors, Span


class QuantumLayout(Layout):
    """Store the slots' own vectors, then those of `spans`: days of hours, months, years.

    >>> QuantumLayout().combinations([(1, 7)], 8, [(0, 4), (4, 6), (4, 8)])  # spans are vectors 8, 9 and 10
    [Combination(operation='unite', vectors=(1, 2, 3, 9, 6))]
    """

    name = "quantum"

    def arrange(self, slot_count: int, vectors: SlotVectors, spans: Sequence[Span]) -> Iterator[Bitmap | None]:
        yield from vectors(range(slot_count))
        for first, stop in spans:
            yield union(vectors(range(first, stop)))

    def combinations(self, runs: Sequence[Span], slot_count: int, spans: Sequence[Span]) -> list[Combination]:
        longest: dict[int, list[tuple[int, int]]] = {}
        for number, (first, stop) in enumerate(spans):
            longest.setdefault(first, []).append((stop, slot_count + number))
        vectors: list[int] = []
        for first, stop in runs:
            slot = first
            while slot < stop:
                within = [(end, number) for end, number in longest.get(slot, ()) if end <= stop]
                slot, vector = max(within, default=(slot + 1, slot))
                vectors.append(vector)
        return [Combination("unite", tuple(vectors))] if vectors else []
