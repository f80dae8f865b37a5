"""What every encoding owes, parametrised from the family's table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.bitmap import ENCODINGS, Bitmap, union
from esker.bitmap.encoding import OPERATIONS, Encoding
from esker.core.row_set import RowSet
from esker.core.seeded import generator
from esker.errors import BitmapCorruptError

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
@given(pair=several(2))
def test_fast_paths_agree_with_the_ones_over_runs(encoding, pair):
    chosen = ENCODINGS[encoding]()
    left, right = (chosen.encode(RowSet.of(np.flatnonzero(values)), len(values)) for values in pair)
    for operation in OPERATIONS:
        fast = chosen.combine(operation, left, right)
        assert fast.data() == Encoding.combine(chosen, operation, left, right).data()
    assert chosen.invert(left).data() == Encoding.invert(chosen, left).data()
    assert chosen.union([left, right]).data() == Encoding.union(chosen, [left, right]).data()


@every_encoding
@given(many=st.integers(1, 9).flatmap(several))
def test_a_wide_union_agrees_with_a_fold(encoding, many):
    bitmaps = [encoded(values, encoding) for values in many]
    folded = bitmaps[0]
    for bitmap in bitmaps[1:]:
        folded |= bitmap
    assert union(bitmaps) == folded


@every_encoding
@given(values=bits())
def test_equal_sets_have_equal_bytes_however_they_were_made(encoding, values):
    bitmap = encoded(values, encoding)
    assert (~~bitmap).serialize() == bitmap.serialize()
    assert Bitmap.from_rows(bitmap.rows(), len(values), encoding).serialize() == bitmap.serialize()
    assert Bitmap.deserialize(bitmap.serialize()).serialize() == bitmap.serialize()


@every_encoding
def test_any_bytes_give_a_value_in_its_one_form_or_corrupt(encoding):
    chance = generator(7)
    chosen = ENCODINGS[encoding]()
    accepted = 0
    for _ in range(3_000):
        row_count = int(chance.integers(0, 300))
        rows = np.flatnonzero(chance.random(row_count) < chance.choice([0.01, 0.5, 0.99]))
        data = bytearray(chosen.from_positions(rows.astype(np.uint64), row_count).data())
        for _ in range(int(chance.integers(0, 3))):
            if data:
                data[int(chance.integers(len(data)))] ^= 1 << int(chance.integers(8))
        data = data[: len(data) - int(chance.choice([0, 0, 0, 1, 4]))]
        try:
            vector = chosen.decode(bytes(data), row_count)
        except BitmapCorruptError:
            continue
        accepted += 1
        positions = vector.positions()
        assert len(positions) == vector.count() <= row_count
        assert not len(positions) or positions[-1] < row_count
        assert chosen.from_positions(positions, row_count).data() == bytes(data)
    assert accepted > 500


@every_encoding
def test_random_bytes_never_do_more_than_raise(encoding):
    chance = generator(8)
    chosen = ENCODINGS[encoding]()
    for _ in range(3_000):
        data = chance.bytes(int(chance.integers(0, 24)))
        row_count = int(chance.integers(0, 500))
        try:
            assert chosen.decode(data, row_count).count() <= row_count
        except BitmapCorruptError:
            continue


@every_encoding
def test_the_name_in_files_begins_with_the_name_in_the_table(encoding):
    assert ENCODINGS[encoding].name.partition(".")[0] == encoding
