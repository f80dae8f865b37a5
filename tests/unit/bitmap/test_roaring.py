"""The bytes of `roaring` are those of CRoaring."""

from __future__ import annotations

import numpy as np
import pyroaring
from hypothesis import given
from hypothesis import strategies as st

from esker.bitmap import Bitmap
from esker.core.seeded import generator

# Around the edges of containers and of the upper 32 bits; long enough runs for run containers.
STARTS = st.integers(0, 300_000) | st.integers(2**32 - 70_000, 2**32 + 70_000)
ROWS = st.lists(st.tuples(STARTS, st.integers(1, 9_000), st.integers(1, 5)), max_size=6)


@given(stretches=ROWS)
def test_croaring_reads_and_writes_the_same_bytes(stretches):
    rows = np.unique(np.concatenate([np.zeros(0, np.int64), *(np.arange(a, a + n, step) for a, n, step in stretches)]))
    ours = bytes(Bitmap.from_positions(rows, 2**33, "roaring").data)
    theirs = pyroaring.BitMap64.deserialize(ours)
    assert np.array_equal(np.array(list(theirs), np.int64), rows)
    made = pyroaring.BitMap64(rows.tolist())
    made.run_optimize()
    assert made.serialize() == ours


def test_containers_of_bits_are_the_same_too():
    rows = np.flatnonzero(generator(1).random(200_000) < 0.4)
    made = pyroaring.BitMap64(rows.tolist())
    made.run_optimize()
    assert made.serialize() == bytes(Bitmap.from_positions(rows, 200_000, "roaring").data)
