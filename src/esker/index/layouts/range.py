"""Vector i holds the rows of slots 0 to i: a run of slots is the difference of two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esker.bitmap import Bitmap
from esker.index.layout import Combination, Layout, SlotVectors, Span


class RangeLayout(Layout):
    """Store running unions (range encoding; Chan and Ioannidis, SIGMOD 1998).

    >>> RangeLayout().combinations([(0, 3), (4, 8)], 8, ())
    [Combination(operation='unite', vectors=(2,)), Combination(operation='subtract', vectors=(7, 3))]
    """

    name = "range"

    def arrange(self, slot_count: int, vectors: SlotVectors, spans: Sequence[Span]) -> Iterator[Bitmap | None]:
        running: Bitmap | None = None
        for vector in vectors(range(slot_count)):
            running = vector if running is None else running | vector
            yield running

    def combinations(self, runs: Sequence[Span], slot_count: int, spans: Sequence[Span]) -> list[Combination]:
        return [
            Combination("subtract", (stop - 1, first - 1)) if first else Combination("unite", (stop - 1,))
            for first, stop in runs
        ]
