from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from esker.core.row_set import RowSet
from esker.join.row_marks import RowMarks


@given(st.lists(st.lists(st.integers(0, 99), max_size=30), max_size=5))
def test_marks_give_each_marked_row_once(groups: list[list[int]]) -> None:
    marks = RowMarks(100)
    for group in groups:
        marks.add(np.array(group, np.uint64))
    assert marks.to_row_set() == RowSet.of([row for group in groups for row in group])


def test_runs_go_on_from_block_to_block() -> None:
    row_count = 20_000_000  # more than two blocks of marks
    marks = RowMarks(row_count)
    marks.add(np.arange(8_388_600, 16_777_220, dtype=np.uint64))
    assert marks.to_row_set() == RowSet.range(8_388_600, 16_777_220)
    assert marks.nbytes == row_count // 8


def test_no_rows_have_no_marks() -> None:
    assert RowMarks(0).to_row_set() == RowSet.empty()
