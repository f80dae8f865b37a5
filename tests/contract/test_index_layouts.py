"""Every layout of vectors gives back the rows of any slots, for any number of them, by the vectors it says it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.bitmap import Bitmap, union
from esker.core.seeded import generator
from esker.index.layout import Span
from esker.index.layouts import LAYOUTS

ROWS = 200


def slots_of_rows(slot_count: int, seed: int) -> np.ndarray:
    """Rows 0 to 9 are in no slot: null."""
    slots = generator(seed).integers(0, max(slot_count, 1), ROWS)
    slots[:10] = -1
    return slots


def runs_of(chosen: list[int]) -> list[Span]:
    flags = np.zeros(64, np.int8)
    flags[chosen] = 1
    edges = np.flatnonzero(np.diff(flags, prepend=0, append=0)).tolist()
    return list(zip(edges[0::2], edges[1::2], strict=True))


@pytest.mark.parametrize("name", LAYOUTS)
@given(data=st.data(), slot_count=st.integers(1, 40), seed=st.integers(0, 5))
def test_combinations_of_stored_vectors_give_the_rows_of_slots(name, data, slot_count, seed):
    rows = slots_of_rows(slot_count, seed)

    def vectors(slots: Iterable[int]) -> Iterator[Bitmap]:
        return (Bitmap.from_positions(np.flatnonzero(rows == slot), ROWS) for slot in slots)

    spans = [(first, min(first + 5, slot_count)) for first in range(0, slot_count, 5)] if name == "quantum" else []
    layout = LAYOUTS[name]()
    stored = list(layout.arrange(slot_count, vectors, spans))
    assert len(stored) == slot_count + len(spans)
    chosen = data.draw(st.lists(st.integers(0, slot_count - 1), unique=True))
    found = Bitmap.none(ROWS)
    for one in layout.combinations(runs_of(chosen), slot_count, spans):
        parts = [stored[vector] for vector in one.vectors]
        assert all(part is not None for part in parts), "a vector that is not stored is read"
        if one.operation == "unite":
            found |= union(parts)
        else:
            left, right = parts
            found |= left & right if one.operation == "intersect" else left - right
    assert found.to_numpy().tolist() == np.flatnonzero(np.isin(rows, chosen)).tolist()


@pytest.mark.parametrize("name", ["range", "interval"])
@pytest.mark.parametrize("slot_count", [1, 2, 3, 8, 9, 40])
def test_any_range_reads_two_vectors_at_most(name, slot_count):
    layout = LAYOUTS[name]()
    for first in range(slot_count):
        for stop in range(first + 1, slot_count + 1):
            (only,) = layout.combinations([(first, stop)], slot_count, ())
            assert len(only.vectors) <= 2


def test_intervals_take_half_as_many_vectors():
    stored = list(LAYOUTS["interval"]().arrange(40, lambda slots: (Bitmap.none(8) for _ in slots), ()))
    assert sum(vector is not None for vector in stored) == 21


def test_a_year_of_hours_reads_few_vectors_of_quanta():
    days = [(24 * day, 24 * day + 24) for day in range(365)]
    layout = LAYOUTS["quantum"]()
    # From 3 o'clock of the second day to 5 o'clock of the tenth: 21 hours, 7 days, 5 hours.
    (only,) = layout.combinations([(27, 9 * 24 + 5)], 365 * 24, days)
    assert len(only.vectors) == 21 + 7 + 5
