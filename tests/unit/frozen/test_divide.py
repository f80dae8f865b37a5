from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esker.errors import UnsupportedTypeError
from esker.frozen.divide import divide, require_divisible
from esker.testing import TYPES, streams


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stream=streams(TYPES, rows_max=8, columns_max=1, batches_max=5), repeats=st.integers(1, 3))
def test_an_extent_begins_exactly_where_the_value_changes(stream, repeats):
    schema, batches = stream
    require_divisible("a", schema)
    repeated = [batch.take(np.repeat(np.arange(batch.num_rows), repeats)) for batch in batches]
    found, begins = [], []
    for piece, begins_extent in divide(iter(repeated), "a"):
        assert piece.num_rows
        begins += [begins_extent] + [False] * (piece.num_rows - 1)
        found.append(piece)
    whole = pa.Table.from_batches(repeated, schema).combine_chunks()
    assert pa.Table.from_batches(found, schema).num_rows == len(whole)
    values = comparable(whole["a"])
    assert begins == [number == 0 or values[number] != values[number - 1] for number in range(len(values))]


def comparable(column):
    """Values that Python's == compares as SQL groups: NaN with NaN, null with null, both zeros alike."""
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_temporal(array.type):
        array = array.view(pa.int64() if array.type.bit_width == 64 else pa.int32())
    values = (array.cast(pa.float32()) if pa.types.is_float16(array.type) else array).to_pylist()
    return ["NaN" if isinstance(value, float) and math.isnan(value) else value for value in values]


def test_without_a_column_only_the_first_batch_begins():
    batch = pa.record_batch({"a": [1, 2]})
    assert [begins for _, begins in divide(iter([batch.slice(0, 0), batch, batch]), None)] == [True, False]


def test_a_column_whose_values_cannot_be_compared_is_named():
    with pytest.raises(UnsupportedTypeError, match="split_by='tags'"):
        require_divisible("tags", pa.schema([("tags", pa.list_(pa.int8()))]))
