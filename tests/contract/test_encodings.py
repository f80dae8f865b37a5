"""What every encoding owes, parametrised from the family's table."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.bitmap import ENCODINGS, Bitmap, count_ranges, intersection, ranges, threshold, union
from esker.core.row_set import RowSet
from esker.core.seeded import generator
from esker.errors import BitmapCorruptError
from esker.kernel import _kernel

every_encoding = pytest.mark.parametrize("encoding", list(ENCODINGS))


@st.composite
def bits(draw, row_count=None):
    """Stretches of zeros, ones and noise around the group and byte sizes, with the number of rows."""
    row_count = draw(st.integers(0, 400)) if row_count is None else row_count
    out: list[bool] = []
    while len(out) < row_count:
        length = draw(st.sampled_from([1, 2, 7, 8, 30, 31, 32, 62, 63, 64, 93]))
        out += draw(st.sampled_from([[False] * length, [True] * length, [True, False] * length]))
    return out[:row_count]


@st.composite
def several(draw, count):
    row_count = draw(st.integers(0, 400))
    return [draw(bits(row_count)) for _ in range(count)]


def encoded(values: list[bool], encoding: str) -> Bitmap:
    return Bitmap.from_positions(np.flatnonzero(values), len(values), encoding)


@every_encoding
@given(values=bits())
def test_what_is_encoded_is_decoded(encoding, values):
    bitmap = encoded(values, encoding)
    rows = np.flatnonzero(values)
    assert np.array_equal(bitmap.to_numpy(), rows)
    assert bitmap.rows() == RowSet.of(rows)
    assert (bitmap.count(), bitmap.row_count) == (len(rows), len(values))


@every_encoding
@given(pair=several(2))
def test_operations_agree_with_boolean_arrays(encoding, pair):
    left, right = (np.array(values, bool) for values in pair)
    a, b = (encoded(values, encoding) for values in pair)
    assert a & b == encoded(left & right, encoding)
    assert a | b == encoded(left | right, encoding)
    assert a ^ b == encoded(left ^ right, encoding)
    assert a - b == encoded(left & ~right, encoding)
    assert ~a == encoded(~left, encoding)


@every_encoding
@given(many=st.integers(1, 9).flatmap(several))
def test_a_wide_union_agrees_with_a_fold(encoding, many):
    bitmaps = [encoded(values, encoding) for values in many]
    folded = bitmaps[0]
    for bitmap in bitmaps[1:]:
        folded |= bitmap
    assert union(bitmaps).serialize() == folded.serialize()


@every_encoding
@given(many=st.integers(1, 9).flatmap(several), least=st.integers(1, 9))
def test_a_threshold_and_an_intersection_agree_with_counting(encoding, many, least):
    bitmaps = [encoded(values, encoding) for values in many]
    counts = np.array(many, np.int64).sum(axis=0)
    assert threshold(bitmaps, least).serialize() == encoded(counts >= least, encoding).serialize()
    assert intersection(bitmaps).serialize() == encoded(counts == len(many), encoding).serialize()


@every_encoding
@given(many=several(6))
def test_a_range_query_agrees_with_its_unions(encoding, many):
    bitmaps = [encoded(values, encoding) for values in many]
    expected = union(bitmaps[0:2]) & union(bitmaps[1:5]) & union(bitmaps[3:6])
    assert ranges(bitmaps, [(0, 1), (1, 4), (3, 5)]).serialize() == expected.serialize()
    assert count_ranges(dict(enumerate(bitmaps)), [(0, 1), (1, 4), (3, 5)]) == expected.count()


@every_encoding
@given(values=bits())
def test_rank_select_membership_and_iteration_agree_with_the_positions(encoding, values):
    bitmap = encoded(values, encoding)
    rows = np.flatnonzero(values).tolist()
    assert list(bitmap) == rows
    assert [bitmap.select(index) for index in range(len(rows))] == rows
    for row in range(-1, len(values) + 2, 7):
        assert bitmap.rank(row) == sum(each < row for each in rows)
        assert (row in bitmap) is (row in rows)
    assert np.concatenate([*bitmap.chunks(7), np.zeros(0, np.uint64)]).tolist() == rows
    with pytest.raises(IndexError, match="none with index"):
        bitmap.select(len(rows))


@every_encoding
@given(values=bits())
def test_equal_sets_have_equal_bytes_however_they_were_made(encoding, values):
    bitmap = encoded(values, encoding)
    assert (~~bitmap).serialize() == bitmap.serialize()
    assert Bitmap.from_rows(bitmap.rows(), len(values), encoding).serialize() == bitmap.serialize()
    assert Bitmap.deserialize(bitmap.serialize()).serialize() == bitmap.serialize()


def decoded(data: bytes, row_count: int, encoding: str) -> Bitmap:
    """Decode bytes whose count is not known: what is asked is whether they are a vector at all."""
    stored = np.frombuffer(data, np.uint8)
    return _kernel.vector_from_data(Bitmap, stored, row_count, ENCODINGS[encoding].name, "")


@every_encoding
def test_any_bytes_give_a_value_in_its_one_form_or_corrupt(encoding):
    chance = generator(7)
    accepted = 0
    for _ in range(2_000):
        row_count = int(chance.integers(0, 300))
        rows = np.flatnonzero(chance.random(row_count) < chance.choice([0.01, 0.5, 0.99]))
        data = bytearray(Bitmap.from_positions(rows, row_count, encoding).data)
        for _ in range(int(chance.integers(0, 3))):
            if data:
                data[int(chance.integers(len(data)))] ^= 1 << int(chance.integers(8))
        data = data[: len(data) - int(chance.choice([0, 0, 0, 1, 4]))]
        try:
            bitmap = decoded(bytes(data), row_count, encoding)
        except BitmapCorruptError:
            continue
        accepted += 1
        positions = bitmap.to_numpy()
        assert len(positions) == bitmap.count() <= row_count
        assert not len(positions) or positions[-1] < row_count
        assert bytes(Bitmap.from_positions(positions, row_count, encoding).data) == bytes(data)
    assert accepted > 400


@every_encoding
@given(data=st.binary(max_size=80), row_count=st.integers(0, 500) | st.just(2**63))
def test_random_bytes_never_do_more_than_raise(encoding, data, row_count):
    with suppress(BitmapCorruptError):
        assert decoded(data, row_count, encoding).count() <= row_count


@every_encoding
def test_row_counts_up_to_the_largest_work(encoding):
    if encoding == "dense":
        pytest.skip("a word for each group of 2^63 rows")
    row_count = 2**40 if encoding == "wah32" else 2**63  # whose fills end at 2^30 - 1 groups
    for rows in (RowSet.empty(), RowSet.of([0, 2**39, row_count - 1]), RowSet.of([62, 63, 64, 2**32 - 1, 2**32])):
        bitmap = Bitmap.from_rows(rows, row_count, encoding)
        assert bitmap.rows() == rows
        assert Bitmap.deserialize(bitmap.serialize()) == bitmap


@every_encoding
def test_the_name_in_files_begins_with_the_name_in_the_table(encoding):
    assert ENCODINGS[encoding].name.partition(".")[0] == encoding
