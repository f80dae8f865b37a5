"""What goes to JSON and to terminals is plain."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.cli.plain import cell, rows_of
from esker.testing.arrow_strategies import batches


@given(batches())
def test_rows_of_any_type_are_json(batch: pa.RecordBatch) -> None:
    rows = list(rows_of(batch))
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert len(rows) == batch.num_rows


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_keep_their_zone_and_nanoseconds(unit: str) -> None:
    batch = pa.record_batch({"t": pa.array([1_000_000_001], pa.timestamp(unit, "UTC"))})
    (row,) = rows_of(batch)
    assert row["t"].endswith("Z")
    if unit == "ns":
        assert "000000001" in row["t"]


@given(st.text())
def test_a_cell_is_one_printable_line(text: str) -> None:
    assert cell(text).isprintable()
    assert len(cell(text)) <= 40
