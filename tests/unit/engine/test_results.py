"""Results of many calls become few batches, and are those of every call taken alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.batch import to_batches
from esker.engine.results import in_batches
from esker.errors import SchemaMismatchError

SCHEMA = pa.schema({"n": pa.int64(), "text": pa.string(), "x": pa.float64()})
ROW = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.just(3.0),
        "text": st.none() | st.text(max_size=5) | st.integers(0, 9),
        "x": st.none() | st.floats(allow_nan=False) | st.integers(-9, 9),
    }
)
RESULT = (
    ROW
    | st.none()
    | st.lists(st.fixed_dictionaries({"n": st.integers(0, 9), "text": st.text(max_size=2), "x": st.none()}), max_size=3)
    | st.integers(0, 5).map(lambda rows: {"n": list(range(rows)), "text": ["t"] * rows, "x": np.zeros(rows)})
    | st.integers(0, 5).map(lambda rows: pa.table({"n": range(rows), "x": [1.5] * rows, "text": ["u"] * rows}))
)


@given(st.lists(RESULT, max_size=12))
def test_many_results_are_those_of_every_call_alone(results: list[Any]) -> None:
    try:
        alone = [row for result in results for batch in to_batches(result, SCHEMA) for row in batch.to_pylist()]
    except (SchemaMismatchError, pa.ArrowException) as error:
        with pytest.raises(type(error)):
            list(in_batches(results, SCHEMA))
        return
    batches = list(in_batches(results, SCHEMA))
    assert [row for batch in batches for row in batch.to_pylist()] == alone
    assert all(batch.schema.equals(SCHEMA) and batch.num_rows for batch in batches)


def test_a_thousand_rows_are_a_few_batches() -> None:
    rows = [{"n": n} for n in range(1000)]
    batches = list(in_batches(rows, pa.schema({"n": pa.int64()})))
    assert len(batches) == 6
    assert [row for batch in batches for row in batch.to_pylist()] == rows


def test_the_first_row_does_not_wait_for_the_second() -> None:
    def results() -> Iterator[dict[str, int]]:
        yield {"n": 1}
        raise AssertionError("not asked for")

    assert next(in_batches(results(), pa.schema({"n": pa.int64()}))).to_pylist() == [{"n": 1}]


def test_large_values_are_not_held_back() -> None:
    held = 0

    def results() -> Iterator[dict[str, str]]:
        nonlocal held
        for _ in range(64):
            held += 1
            yield {"text": "x" * (1 << 20)}

    for batch in in_batches(results(), pa.schema({"text": pa.string()})):
        assert batch.num_rows == held
        held = 0


def test_scalars_of_libraries_are_values_and_not_columns() -> None:
    schema = pa.schema({"n": pa.int64(), "x": pa.float32(), "day": pa.date32(), "money": pa.decimal128(9, 2)})
    row = {"n": np.int32(4), "x": np.float64(0.5), "day": dt.date(2024, 2, 29), "money": Decimal("1.25")}
    expected = {"n": 4, "x": 0.5, "day": dt.date(2024, 2, 29), "money": Decimal("1.25")}
    arrow = row | {"n": pa.scalar(4), "x": pa.scalar(0.5)}
    frame = pl.DataFrame({name: [value] for name, value in expected.items()})
    found = [row for batch in in_batches([row, arrow, frame], schema) for row in batch.to_pylist()]
    assert found == [expected] * 3


def test_a_row_with_a_missing_or_wrong_column_is_named() -> None:
    with pytest.raises(SchemaMismatchError, match="expected a column 'text'"):
        list(in_batches([{"n": 1, "text": "a", "x": 1.0}, {"n": 1, "x": 1.0}], SCHEMA))
    with pytest.raises(SchemaMismatchError, match="'n' is string"):
        list(in_batches([{"n": 1, "text": "a", "x": 1.0}, {"n": "one", "text": "a", "x": 1.0}], SCHEMA))
