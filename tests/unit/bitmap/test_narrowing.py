from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from esker.bitmap import Bitmap, Narrowing
from esker.errors import InputError

ROWS = 5_000
ENCODING = st.sampled_from(["gap_run", "wah64", "dense", "wah32", "auto"])
SETS = st.lists(st.sets(st.integers(0, ROWS - 1), max_size=40), min_size=1, max_size=4)


def vectors(sets, encoding):
    return [Bitmap.from_positions(np.array(sorted(rows), np.uint64), ROWS, encoding) for rows in sets]


@given(first=SETS, steps=st.lists(st.tuples(st.booleans(), SETS), max_size=3), encoding=ENCODING, full=st.booleans())
def test_narrowing_keeps_what_every_step_keeps(first, steps, encoding, full):
    narrowing = Narrowing(Bitmap.all(ROWS, encoding) if full else None)
    narrowing.within(vectors(first, encoding))
    left = set().union(*first)
    for inside, sets in steps:
        (narrowing.within if inside else narrowing.outside)(vectors(sets, encoding))
        left = left & set().union(*sets) if inside else left - set().union(*sets)
        assert (narrowing.count(), narrowing.none) == (len(left), not left)
    assert narrowing.take().to_numpy().tolist() == sorted(left)


def test_what_lies_outside_may_come_first():
    narrowing = Narrowing()
    narrowing.outside(vectors([{1, 2}], "auto"))
    assert narrowing.take().count() == ROWS - 2


def test_nothing_asked_gives_no_rows_but_an_error():
    with pytest.raises(InputError, match="begin with"):
        Narrowing().take()
    narrowing = Narrowing(Bitmap.all(9, "auto"))
    with pytest.raises(InputError, match="at least one"):
        narrowing.within([])
    with pytest.raises(InputError, match="other rows"):
        narrowing.within([Bitmap.all(8, "auto")])
