from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.row_set import ROW_ID_STOP, RowSet
from esker.core.seeded import generator
from esker.errors import BitmapCorruptError, InputError

# Near zero, so that runs meet and overlap, and at the far end, where sums would overflow.
ROWS = st.one_of(st.integers(0, 60), st.integers(ROW_ID_STOP - 5, ROW_ID_STOP - 1))
SETS = st.sets(ROWS, max_size=50)


def listed(rows: RowSet) -> list[int]:
    starts, stops = rows.runs()
    assert all(starts < stops), "a run is empty"
    assert all(stops[:-1] < starts[1:]), "runs overlap or touch"
    found = rows.to_numpy().tolist()
    assert len(rows) == len(found)
    return found


@given(SETS)
def test_a_set_holds_what_went_in_and_nothing_else(members):
    rows = RowSet.of(list(members))
    assert listed(rows) == sorted(members)
    assert bool(rows) == bool(members)
    assert [row for row in range(61) if row in rows] == sorted(row for row in members if row <= 60)


@given(SETS, SETS)
def test_algebra_agrees_with_python_sets(left, right):
    a, b = RowSet.of(list(left)), RowSet.of(list(right))
    assert listed(a & b) == sorted(left & right)
    assert listed(a | b) == sorted(left | right)
    assert listed(a ^ b) == sorted(left ^ right)
    assert listed(a - b) == sorted(left - right)
    assert (a == b) == (left == right)


@given(SETS, st.integers(0, 70))
def test_the_complement_is_what_is_missing_below_the_row_count(members, row_count):
    assert listed(RowSet.of(list(members)).complement(row_count)) == sorted(set(range(row_count)) - members)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12))
def test_runs_may_come_in_any_order_overlapping_or_empty(runs):
    expected = sorted({row for start, stop in runs for row in range(start, stop)})
    assert listed(RowSet.from_runs([run[0] for run in runs], [run[1] for run in runs])) == expected


@given(SETS, ROWS)
def test_rank_counts_the_rows_below_and_select_inverts_it(members, row):
    rows = RowSet.of(list(members))
    assert rows.rank(row) == sum(member < row for member in members)
    for k, member in enumerate(sorted(members)):
        assert rows.select(k) == member
        assert rows.rank(member) == k


@given(SETS, ROWS, ROWS)
def test_a_slice_keeps_the_rows_within(members, start, stop):
    assert listed(RowSet.of(list(members)).slice(start, stop)) == sorted(m for m in members if start <= m < stop)


@given(SETS, st.integers(1, 12))
def test_chunks_are_full_but_the_last_and_join_to_the_whole(members, size):
    chunks = list(RowSet.of(list(members)).chunks(size))
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert [row for chunk in chunks for row in chunk.tolist()] == sorted(members)


@given(SETS)
def test_what_is_written_is_read_back(members):
    rows = RowSet.of(list(members))
    assert RowSet.deserialize(rows.serialize()) == rows


def test_equal_sets_have_equal_bytes_however_they_were_made():
    one = RowSet.of([9, 1, 2, 3]).serialize()
    assert one == (RowSet.range(0, 10) - RowSet.of([0]) - RowSet.range(4, 9)).serialize()


@given(SETS.filter(bool), st.data())
def test_any_changed_byte_is_noticed(members, data):
    whole = bytearray(RowSet.of(list(members)).serialize())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BitmapCorruptError, match="part 3"):
        RowSet.deserialize(bytes(whole), "part 3")


@pytest.mark.parametrize("length", [0, 5, 31, 33])
def test_a_cut_set_is_noticed(length):
    with pytest.raises(BitmapCorruptError):
        RowSet.deserialize(RowSet.of([1, 5, 9]).serialize()[:length])


def test_overlapping_runs_with_a_right_checksum_are_noticed():
    forged = RowSet(np.array([3, 4], np.uint64), np.array([4, 9], np.uint64)).serialize()
    with pytest.raises(BitmapCorruptError, match="touch"):
        RowSet.deserialize(forged)


def test_a_million_scattered_rows_agree_with_numpy():
    chance = generator(1)
    left, right = (np.unique(chance.integers(0, 1 << 40, 200_000, dtype=np.uint64)) for _ in range(2))
    right = np.union1d(right, left[::7])
    a, b = RowSet.of(left), RowSet.of(right)
    assert np.array_equal((a & b).to_numpy(), np.intersect1d(left, right))
    assert np.array_equal((a - b).to_numpy(), np.setdiff1d(left, right))
    assert np.array_equal(a.contains_each(right), np.isin(right, left))


@pytest.mark.parametrize("rows", [[-1], [1.5], [[1]], [ROW_ID_STOP], ["a"], [1 << 70]])
def test_what_cannot_be_a_row_id_is_refused(rows):
    with pytest.raises(InputError):
        RowSet.of(rows)


def test_the_last_row_id_can_be_held():
    rows = RowSet.of([ROW_ID_STOP - 1])
    assert rows.complement(ROW_ID_STOP).select(ROW_ID_STOP - 2) == ROW_ID_STOP - 2
    assert RowSet.range(0, ROW_ID_STOP) - rows == rows.complement(ROW_ID_STOP)


def test_no_row_beyond_the_last_can_be_selected():
    with pytest.raises(InputError, match="set of 2 rows"):
        RowSet.of([4, 8]).select(2)
