"""What nodes answer is what one process answers, whatever way the bytes took."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.bitmap import Bitmap
from esker.cluster import algebra as module
from esker.cluster.algebra import BitmapAlgebra
from esker.errors import DamagedValueError

ROWS = 5000
VECTORS = st.lists(st.sets(st.integers(0, ROWS - 1), max_size=300), min_size=1, max_size=6)


def stored(rows: set[int], encoding: str = "auto") -> bytes:
    return Bitmap.from_positions(sorted(rows), ROWS, encoding).serialize()


def rows_of(value: bytes) -> set[int]:
    return set(Bitmap.deserialize(value).to_numpy().tolist()) if value else set()


@given(VECTORS, VECTORS, st.sampled_from(["auto", "wah32", "dense"]), st.booleans())
def test_a_chain_of_nodes_ors_as_one_does(
    first: list[set[int]], second: list[set[int]], encoding: str, holds: bool
) -> None:
    one, other = BitmapAlgebra(1 << 20 if holds else 0), BitmapAlgebra()
    mine = one.answer([[stored(rows, encoding) for rows in first]])
    theirs = other.answer([[stored(rows, encoding) for rows in second]])
    expected = set().union(*first, *second)
    assert one.is_full(mine) == (len(set().union(*first)) == ROWS)
    assert rows_of(one.merge([mine, bytes(theirs)])) == expected
    # Merged again, when what was made is not remembered any more.
    assert rows_of(one.merge([mine, bytes(theirs)])) == expected


def test_a_result_travels_as_it_lies_in_memory_unless_its_rows_are_shorter() -> None:
    algebra = BitmapAlgebra()
    few = [stored({row}, "dense") for row in (3, 4)]
    assert len(algebra.answer([few])) < 200
    half = [stored(set(range(start, ROWS, 4)), "dense") for start in (0, 1)]
    assert len(algebra.answer([half])) > ROWS // 8


def test_what_was_made_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MADE_BYTES", 3000)
    algebra = BitmapAlgebra()
    for start in range(20):
        algebra.answer([[stored(set(range(start, ROWS, 40)))]])
        assert algebra._made_bytes == sum(len(value) for value, _ in algebra._made.values()) <= 3000
    assert algebra._made


def test_answers_that_do_not_fit_together_are_refused() -> None:
    algebra = BitmapAlgebra()
    with pytest.raises(DamagedValueError):
        algebra.merge([stored({1}), Bitmap.from_positions([1], 10).serialize()])
    with pytest.raises(DamagedValueError):
        algebra.merge([b"no bitmap"])
