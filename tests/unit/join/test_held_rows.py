from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from esker.join import held_rows
from esker.join.held_rows import HeldRows, take


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data(), st.booleans())
def test_rows_are_taken_across_blocks(sizes: list[int], data: st.DataObject, copy: bool) -> None:
    total = sum(sizes)
    values = [f"row {number}" for number in range(total)]
    ends = np.cumsum(sizes).tolist()
    batches = [pa.record_batch({"a": values[end - size : end]}) for size, end in zip(sizes, ends, strict=True)]
    positions = data.draw(st.lists(st.integers(-1, total - 1), max_size=20))
    rows = HeldRows(batches, copy=copy)
    assert rows.row_count == total
    taken = rows.take("a", np.array(positions, np.int64)).to_pylist()
    assert taken == [None if position < 0 else values[position] for position in positions]


def test_blocks_stay_below_the_limit_of_32_bit_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_rows, "_BLOCK_BYTES", 100)
    rows = HeldRows([pa.record_batch({"a": ["x" * 60]}) for _ in range(4)])
    assert len(rows._blocks) == 4
    assert rows.take("a", np.array([3, 0, -1])).to_pylist() == ["x" * 60, "x" * 60, None]


def test_a_whole_column_is_not_copied() -> None:
    column = pa.array([1, 2, 3])
    assert take(column, np.arange(3)) is column
    assert take(column, np.array([2, 1, 0])).to_pylist() == [3, 2, 1]
    assert take(pa.array([], pa.int8()), np.array([-1])).to_pylist() == [None]
