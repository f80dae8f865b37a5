"""Splitters cut the order of pyarrow's sort, whatever the types, the nulls and the skew."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.sort import SortOrder, require_sortable
from esker.engine.group import group_codes
from esker.engine.splitters import Splitters
from esker.errors import UnsupportedTypeError
from esker.testing.arrow_strategies import batches
from esker.testing.arrow_types import TYPES


def is_sortable(type_: pa.DataType) -> bool:
    try:
        require_sortable(["a"], pa.schema({"a": type_}))
    except UnsupportedTypeError:
        return False
    return True


SORTABLE = [type_ for type_ in TYPES if is_sortable(type_)]


@given(batch=batches(SORTABLE, rows_max=40, columns_max=3), range_count=st.integers(1, 9), data=st.data())
def test_ranges_follow_the_sorted_order_and_never_part_equal_keys(
    batch: pa.RecordBatch, range_count: int, data: st.DataObject
) -> None:
    by = batch.schema.names
    rows = pa.Table.from_batches([batch])
    chosen = data.draw(st.sets(st.sampled_from(range(batch.num_rows)))) if batch.num_rows else set()
    sample = rows.filter(pa.array([row in chosen for row in range(batch.num_rows)], pa.bool_()))
    descending = [data.draw(st.booleans()) for _ in by]
    nulls_first = data.draw(st.booleans())
    ids = Splitters.of_sample(sample, by, range_count, descending, nulls_first).ids(batch)
    assert ids.dtype == np.int32
    order = SortOrder(by, descending, nulls_first)
    in_order = ids[order.indices(order.keys(rows.combine_chunks())).to_numpy()]
    assert (np.diff(in_order) >= 0).all()
    assert ((ids >= 0) & (ids < range_count)).all()
    codes, _ = group_codes(rows, by)
    assert len(set(zip(codes.tolist(), ids.tolist(), strict=True))) == len(set(codes.tolist()))


def test_a_key_of_many_rows_has_a_range_to_itself_and_the_rest_is_divided_evenly() -> None:
    keys = np.concatenate([np.arange(1000), np.full(9000, 500)])
    sample = pa.table({"k": keys})
    sizes = np.bincount(Splitters.of_sample(sample, ["k"], 5).ids(sample.to_batches()[0]), minlength=5)
    assert sizes.max() == 9001 and sizes.sum() == 10_000
    assert sorted(sizes)[:4] == pytest.approx([250, 250, 250, 250], abs=2)


@pytest.mark.parametrize("range_count", [1, 2, 7, 64, 1000])
def test_distinct_keys_are_divided_evenly(range_count: int) -> None:
    sample = pa.table({"k": np.random.default_rng(3).permutation(10_000)})
    sizes = np.bincount(Splitters.of_sample(sample, ["k"], range_count).ids(sample.to_batches()[0]))
    assert len(sizes) == range_count
    assert sizes.max() <= math.ceil(10_000 / range_count) + 1


def test_fewer_keys_than_ranges_have_a_range_each() -> None:
    sample = pa.table({"k": ["b", "a", None, "b"]})
    assert Splitters.of_sample(sample, ["k"], 8).ids(sample.to_batches()[0]).tolist() == [1, 0, 2, 1]


def test_no_sample_is_one_range() -> None:
    empty = pa.table({"k": pa.array([], pa.string())})
    assert Splitters.of_sample(empty, ["k"], 8).ids(pa.record_batch({"k": ["x", None]})).tolist() == [0, 0]
