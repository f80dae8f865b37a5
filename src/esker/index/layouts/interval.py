"""Vector i holds the rows of the half of the slots that begins at i: a run of slots is two of them, or one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esker.bitmap import Bitmap, union
from esker.index.layout import Combination, Layout, SlotVectors, Span


class IntervalLayout(Layout):
    """Store unions of windows of half the slots (interval encoding; Chan and Ioannidis, SIGMOD 1999).

    With n slots a window has L = ceil(n / 2) of them and there are n - L + 1 windows, about half as many vectors as
    the other layouts have.

    >>> layout = IntervalLayout()  # eight slots: windows of four, beginning at slots 0 to 4
    >>> layout.combinations([(2, 4)], 8, ()), layout.combinations([(1, 7)], 8, ())
    ([Combination(operation='intersect', vectors=(2, 0))], [Combination(operation='unite', vectors=(1, 3))])
    """

    name = "interval"

    def arrange(self, slot_count: int, vectors: SlotVectors, spans: Sequence[Span]) -> Iterator[Bitmap | None]:
        if not slot_count:
            return
        length = window_length(slot_count)
        last = slot_count - length
        # The first window, then for each other the slot that leaves and the one that enters.
        turns = [slot for start in range(last) for slot in (start, start + length)]
        given = vectors([*range(length), *turns])
        window = union(next(given) for _ in range(length))
        yield window
        for _ in range(last):
            window = (window - next(given)) | next(given)
            yield window
        for _ in range(length - 1):
            yield None

    def combinations(self, runs: Sequence[Span], slot_count: int, spans: Sequence[Span]) -> list[Combination]:
        length = window_length(slot_count)
        return [_of_run(first, stop, length, slot_count - length) for first, stop in runs]


def window_length(slot_count: int) -> int:
    """Slots of a window."""
    return (slot_count + 1) // 2


def _of_run(first: int, stop: int, length: int, last: int) -> Combination:
    """Windows are [i, i + length) for i from 0 to `last`; every run of slots is two of them, joined."""
    width = stop - first
    if width == length:
        return Combination("unite", (first,))
    if width > length:
        return Combination("unite", (first, stop - length))
    if stop < length:
        return Combination("subtract", (first, stop))
    if first > last:
        return Combination("subtract", (stop - length, first - length))
    return Combination("intersect", (first, stop - length))
