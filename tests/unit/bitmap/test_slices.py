from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.bitmap.slices import BitSlices
from esker.errors import InputError

NUMBERS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9), max_size=150)


@given(numbers=NUMBERS, low=st.integers(-2, 2**64 + 1), width=st.integers(-2, 2**64) | st.integers(0, 9))
def test_a_range_holds_the_rows_whose_number_lies_in_it(numbers, low, width):
    slices = BitSlices.of_values(np.array(numbers, np.uint64))
    expected = [row for row, number in enumerate(numbers) if low <= number <= low + width]
    assert slices.between(low, low + width).to_numpy().tolist() == expected


@given(numbers=NUMBERS)
def test_there_is_a_slice_for_each_bit_of_the_largest_number(numbers):
    slices = BitSlices.of_values(np.array(numbers, np.uint64), "gap_run")
    assert len(slices.bitmaps) == max(max(numbers, default=0).bit_length(), 1)
    assert {bitmap.encoding for bitmap in slices.bitmaps} == {"gap_run.1"}


def test_no_slices_are_refused():
    with pytest.raises(InputError, match="at least one slice"):
        BitSlices([]).between(1, 2)
