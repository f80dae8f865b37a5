"""Blocks have names that say what they are, a map that says which there are, and the rows they were made of."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.bitmap import Bitmap
from esker.cluster.algebra import BitmapAlgebra
from esker.cluster.blocks import (
    RETIRED,
    Block,
    BlockMap,
    asked_blocks,
    block_of,
    contents,
    every_block,
    place_of,
    retired_digest,
    row_of,
    row_vector,
)
from esker.cluster.reshapes import Bounds
from esker.cluster.unit import Entry, Unit, copy_of
from esker.errors import DamagedValueError, OptionError

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(NAMES, st.integers(0, 1 << 44), st.integers(0, 1 << 44))
def test_a_name_says_which_block_it_is(prefix: str, start: int, stop: int) -> None:
    block = Block(prefix, start, stop)
    assert block_of(block.name) == block and asked_blocks(block.name) is None
    assert place_of(block.name) == place_of(block._replace(stop=stop + 1).name)
    asked = asked_blocks(every_block(prefix, start, stop))
    assert asked == (prefix, start, stop) and block_of(every_block(prefix)) is None
    assert asked_blocks(every_block(prefix)) == (prefix, 0, None)


@pytest.mark.parametrize("name", ["@census", "census/1", "census/a:b", "7", "0:8", "census/1:", "census/:1"])
def test_other_units_are_no_blocks(name: str) -> None:
    assert block_of(name) is None and asked_blocks(name) is None


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.data())
def test_the_map_finds_the_blocks_of_rows(sizes: list[int], data: st.DataObject) -> None:
    blocks, end = BlockMap(), 0
    made = []
    for size in sizes:
        made.append(Block("p", end, end + size))
        end += size
    for block in data.draw(st.permutations(made)):
        blocks.add(block)
    blocks.validate()
    start = data.draw(st.integers(0, end - 1))
    stop = data.draw(st.integers(start + 1, end))
    assert blocks.between(start, stop) == [one for one in made if one.start < stop and start < one.stop]
    assert blocks.between(0, None) == made
    gone = data.draw(st.sampled_from(made))
    blocks.remove(gone)
    assert blocks.blocks == [one for one in made if one != gone]
    if gone not in (made[0], made[-1]):
        with pytest.raises(AssertionError, match="is followed by"):
            blocks.validate()


@given(st.integers(0, (1 << 44) - 1), st.integers(0, (1 << 16) - 1))
def test_kept_rows_know_where_they_begin(row: int, column: int) -> None:
    assert row_of(row_vector(row, column)) == row
    assert -(1 << 61) < row_vector(row, column) < 0


def entries(vectors: Mapping[int, set[int]], rows: int) -> dict[int, Entry]:
    return {
        vector: (7, Bitmap.from_positions(sorted(found), rows).serialize() if found else b"")
        for vector, found in vectors.items()
    }


ROWS = st.sets(st.integers(0, 99))


@given(st.dictionaries(st.integers(0, 5), ROWS, max_size=4), st.integers(1, 99))
def test_a_block_that_is_divided_and_joined_has_its_rows_again(vectors: dict[int, set[int]], middle: int) -> None:
    algebra = BitmapAlgebra()
    whole = Block("p", 0, 100)
    halves = (whole._replace(stop=middle), whole._replace(start=middle))
    chunks = {row_vector(0, 0): (3, b"first"), row_vector(middle, 0): (3, b"second"), -(1 << 61): (3, b"")}
    before = entries(vectors, 100) | chunks
    made = [dict(contents(half, [(whole, before)], algebra)) for half in halves]
    for half, found in zip(halves, made, strict=True):
        for vector, rows in vectors.items():
            expected = [row - half.start for row in sorted(rows) if half.start <= row < half.stop]
            value = found[vector]
            assert (Bitmap.deserialize(value).to_numpy().tolist() if value else []) == expected
            assert not value or Bitmap.deserialize(value).row_count == half.row_count
    assert {vector for vector in made[0] if vector < 0} == {row_vector(0, 0), -(1 << 61)}
    assert {vector for vector in made[1] if vector < 0} == {row_vector(middle, 0), -(1 << 61)}
    sources = [
        (half, {vector: (8, value) for vector, value in found.items()})
        for half, found in zip(halves, made, strict=True)
    ]
    again = dict(contents(whole, sources, algebra))
    assert again.keys() == before.keys()
    for vector, rows in vectors.items():
        found = again[vector]
        assert (Bitmap.deserialize(found).to_numpy().tolist() if found else []) == sorted(rows)
    # The same bytes wherever it is done: copies are compared by them.
    assert again == dict(contents(whole, sources, BitmapAlgebra()))


def test_a_vector_of_too_few_rows_is_damaged() -> None:
    short = {0: (1, Bitmap.from_positions([3], 50).serialize())}
    with pytest.raises(DamagedValueError, match="50 rows"):
        list(contents(Block("p", 0, 100), [(Block("p", 0, 100), short)], BitmapAlgebra()))


@given(st.integers(1, 1 << 60))
def test_the_digest_says_that_a_block_became_others(version: int) -> None:
    assert copy_of("p/0:8", version, {RETIRED: (version, b"")}).digest == retired_digest(version)
    assert Unit().digest != retired_digest(version)


def test_bounds_that_cannot_be_are_refused() -> None:
    with pytest.raises(OptionError, match=r"merge_part=0\.9"):
        Bounds(merge_part=0.9).check()
    with pytest.raises(OptionError, match="at least 1"):
        Bounds(split_bytes=0).check()
