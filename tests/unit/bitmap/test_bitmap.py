from __future__ import annotations

import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

from esker.bitmap import ENCODINGS, Bitmap, parse_ranges, ranges, union
from esker.bitmap.stored import StoredVector
from esker.core.row_set import ROW_ID_STOP, RowSet
from esker.core.seeded import generator
from esker.errors import BitmapCorruptError, InputError, OptionError, PredicateError

GOLDEN = Path(__file__).parents[2] / "golden"
# Literals, fills of zeros and of ones, and a last group that is not full.
GOLDEN_ROWS = RowSet.from_runs([3, 62, 1_000, 40_000], [5, 93, 31_000, 40_007])
GOLDEN_ROW_COUNT = 40_007


def test_positions_may_come_in_any_order_and_twice():
    assert Bitmap.from_positions([5, 1, 5, 3], 6) == Bitmap.from_positions(np.array([1, 3, 5]), 6)


def test_rows_past_the_row_count_are_refused():
    with pytest.raises(InputError, match="row 6 is past the last of 6"):
        Bitmap.from_positions([1, 6], 6)
    with pytest.raises(InputError, match="row 6 is past the last of 6"):
        Bitmap.from_rows(RowSet.range(2, 7), 6)
    with pytest.raises(InputError, match="outside"):
        Bitmap.none(-1)


def test_bitmaps_of_different_row_counts_do_not_mix():
    with pytest.raises(InputError, match="3 and 4 rows"):
        Bitmap.none(3) | Bitmap.none(4)
    assert Bitmap.none(3) != Bitmap.none(4)


def test_an_unknown_encoding_is_named():
    with pytest.raises(OptionError, match="no encoding 'wah33'; there is: wah32, "):
        Bitmap.from_positions([1], 2, encoding="wah33")


def test_none_and_all_are_complements_and_take_two_words_at_most():
    for row_count in (0, 1, 30, 31, 32, 62, 10_000_000_000):
        none, every = Bitmap.none(row_count), Bitmap.all(row_count)
        assert ~none == every
        assert ~every == none
        assert (none.count(), every.count()) == (0, row_count)
        assert max(none.nbytes, every.nbytes) <= 8
        assert (bool(none), bool(every)) == (False, row_count > 0)


def test_the_largest_row_count_works():
    # Fills longer than 2^30 - 1 groups are split, adjacent ones merged.
    row_count = 40_000_000_000
    bitmap = Bitmap.from_rows(RowSet.range(1, row_count - 1), row_count)
    assert (~bitmap).to_numpy().tolist() == [0, row_count - 1]
    assert Bitmap.deserialize(bitmap.serialize()) == bitmap


def test_results_outlive_their_vector():
    words = Bitmap.from_positions([1, 40], 50).data
    assert bytes(words) == struct.pack("<2I", 2, 1 << 9)


def test_a_range_query_is_unions_anded():
    chance = generator(3)
    members = [set(chance.integers(0, 200, 60).tolist()) for _ in range(8)]
    vectors = [Bitmap.from_positions(list(rows), 200) for rows in members]
    expected = (members[2] | members[3]) & (members[4] | members[5] | members[6])
    assert set(ranges(vectors, parse_ranges("R:[2,3]&[4,6]")).to_numpy().tolist()) == expected
    assert ranges(dict(enumerate(vectors)), [(2, 2)]) == vectors[2]


@pytest.mark.parametrize("bounds", [[(2, 8)], [(3, 2)], [], [(0, 10**17)]])
def test_ranges_without_a_vector_are_refused(bounds):
    with pytest.raises(InputError):
        ranges([Bitmap.all(5)] * 8, bounds)


@pytest.mark.parametrize(
    ("text", "position"), [("[1,2]", 0), ("R:", 2), ("R:[1,2", 2), ("R:[1,2]&", 8), ("R:[1,2]x", 7), ("R:[1,-2]", 2)]
)
def test_a_range_query_that_cannot_be_read_says_where(text, position):
    with pytest.raises(PredicateError) as caught:
        parse_ranges(text)
    assert caught.value.position == position


def test_a_union_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least one"):
        union([])


def test_every_changed_byte_is_noticed():
    whole = Bitmap.from_positions([1, 4, 5, 90], 100).serialize()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        with pytest.raises(BitmapCorruptError, match="vector 7"):
            Bitmap.deserialize(bytes(changed), "vector 7")
    for length in range(len(whole)):
        with pytest.raises(BitmapCorruptError):
            Bitmap.deserialize(whole[:length])


@pytest.mark.parametrize(
    "forged",
    [
        StoredVector("wah32.1", 100, 3, memoryview(struct.pack("<2I", 2, 0x80000003))),  # one row, not three
        StoredVector("wah32.1", 100, 1, memoryview(struct.pack("<2I", 2, 0x80000002))),  # a group is missing
        StoredVector("wah32.1", 5, 6, memoryview(b"")),
        StoredVector("wah32.1", ROW_ID_STOP + 1, 0, memoryview(b"")),
        StoredVector("wah32.2", 31, 1, memoryview(struct.pack("<I", 2))),
        StoredVector("roaring.1", 31, 1, memoryview(struct.pack("<I", 2))),
        StoredVector("wah32.1", 31, 1, memoryview(b"abc")),
    ],
)
def test_a_wrong_vector_with_a_right_checksum_is_noticed(forged):
    with pytest.raises(BitmapCorruptError):
        Bitmap.deserialize(forged.to_bytes())


def test_the_checksum_is_crc32_as_the_format_says():
    whole = bytearray(Bitmap.from_positions([1], 31).serialize())
    stored = struct.unpack_from("<I", whole, 52)[0]
    whole[52:56] = bytes(4)
    assert len(whole) == 60
    assert stored == zlib.crc32(whole[56:], zlib.crc32(whole[:56]))


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_the_golden_vector_of_version_1_reads_and_is_written_the_same(encoding):
    golden = (GOLDEN / f"{encoding}-1.bitmap").read_bytes()
    bitmap = Bitmap.deserialize(golden)
    assert bitmap.rows() == GOLDEN_ROWS
    assert Bitmap.from_rows(GOLDEN_ROWS, GOLDEN_ROW_COUNT, encoding).serialize() == golden


def test_threads_may_share_bitmaps():
    chance = generator(5)
    left, right = (Bitmap.from_positions(chance.integers(0, 10**6, 50_000), 10**6) for _ in range(2))
    expected = (left & right).count()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append((left & right).count())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
