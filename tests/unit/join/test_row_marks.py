from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from esker.core.row_set import RowSet
from esker.join.row_marks import RowMarks, RowPlaces


@given(st.lists(st.lists(st.integers(0, 99), max_size=30), max_size=5))
def test_marks_give_each_marked_row_once(groups: list[list[int]]) -> None:
    marks = RowMarks(100)
    for group in groups:
        marks.add(np.array(group, np.uint64))
    assert marks.to_row_set() == RowSet.of([row for group in groups for row in group])


@given(st.sets(st.integers(0, 5_000), min_size=1), st.data())
def test_places_are_those_in_the_array(rows: set[int], data: st.DataObject) -> None:
    ids = np.array(sorted(rows), np.uint64)
    wanted = data.draw(st.lists(st.sampled_from(sorted(rows)), max_size=30))
    found = RowPlaces(ids).of(np.array(wanted, np.uint64))
    assert found.dtype == np.int64
    assert ids[found].tolist() == wanted


def test_no_rows_have_no_places() -> None:
    assert RowPlaces(np.zeros(0, np.uint64)).of(np.zeros(0, np.uint64)).tolist() == []


def test_runs_go_on_from_block_to_block() -> None:
    row_count = 20_000_000  # more than two blocks of marks
    marks = RowMarks(row_count)
    marks.add(np.arange(8_388_600, 16_777_220, dtype=np.uint64))
    assert marks.to_row_set() == RowSet.range(8_388_600, 16_777_220)
    assert marks.nbytes == row_count // 8


def test_no_rows_have_no_marks() -> None:
    assert RowMarks(0).to_row_set() == RowSet.empty()
