"""An encoding that gives only what it must gets every operation, and mixes with the others."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.bitmap import Bitmap, union
from esker.bitmap.encoding import Encoding, Vector
from esker.core.row_set import RowSet

ROW_COUNT = 120
ROWS = st.sets(st.integers(0, ROW_COUNT - 1))


class RunsVector(Vector):
    def __init__(self, rows: RowSet, row_count: int) -> None:
        self.rows = rows
        self.row_count = row_count

    def count(self) -> int:
        return len(self.rows)

    def runs(self) -> RowSet:
        return self.rows

    def data(self) -> memoryview:
        return memoryview(self.rows.serialize())


class RunsEncoding(Encoding[RunsVector]):
    """The shortest encoding there can be: runs are stored as they come."""

    name: ClassVar[str] = "runs.1"
    group_bits: ClassVar[int] = 1

    def encode(self, rows: RowSet, row_count: int) -> RunsVector:
        return RunsVector(rows, row_count)

    def decode(self, data: bytes | memoryview, row_count: int) -> RunsVector:
        return RunsVector(RowSet.deserialize(data), row_count)


def runs_bitmap(rows: set[int]) -> Bitmap:
    encoding = RunsEncoding()
    return Bitmap(encoding, encoding.from_positions(np.array(sorted(rows), np.uint64), ROW_COUNT))


@given(left=ROWS, right=ROWS)
def test_two_methods_are_enough_for_every_operation(left, right):
    a, b = runs_bitmap(left), runs_bitmap(right)
    assert set((a & b).to_numpy().tolist()) == left & right
    assert set((a | b).to_numpy().tolist()) == left | right
    assert set((a ^ b).to_numpy().tolist()) == left ^ right
    assert set((a - b).to_numpy().tolist()) == left - right
    assert set((~a).to_numpy().tolist()) == set(range(ROW_COUNT)) - left
    assert set(union([a, b, a]).to_numpy().tolist()) == left | right


@given(left=ROWS, right=ROWS)
def test_a_mixed_pair_gives_the_encoding_of_the_left(left, right):
    words, runs = Bitmap.from_positions(sorted(left), ROW_COUNT), runs_bitmap(right)
    assert (words & runs).encoding == "wah32.1"
    assert (runs & words).encoding == "runs.1"
    assert words & runs == runs & words
    assert union([runs, words]) == union([words, runs])
    assert (words == runs) is (left == right)


def test_an_encoding_that_lacks_a_method_cannot_be_made():
    with pytest.raises(TypeError, match="decode"):
        type("Half", (Encoding,), {"encode": RunsEncoding.encode})()
