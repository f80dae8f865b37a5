from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from esker.join.key_join import KeyTable, concat_column, drop_null_keys, encode_together

INTEGERS = st.none() | st.sampled_from([0, 1, 2, 3, 2**63 - 1, -(2**63)])
FLOATS = st.none() | st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf])
TEXTS = st.none() | st.sampled_from(["", "a", "b", "ab"])
ROWS = st.lists(st.tuples(INTEGERS, FLOATS, TEXTS), max_size=25)
TYPES = (pa.int64(), pa.float64(), pa.string())


def columns(rows: list[tuple[Any, ...]], chosen: list[int]) -> list[pa.Array]:
    return [pa.array([row[number] for row in rows], TYPES[number]) for number in chosen]


def same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    return bool(one == other) or (one != one and other != other)


@given(ROWS, ROWS, st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True), st.integers(1, 7))
def test_pairs_are_those_of_a_nested_loop_in_order(
    probe: list[tuple[Any, ...]], build: list[tuple[Any, ...]], chosen: list[int], size: int
) -> None:
    matches = KeyTable(columns(build, chosen)).match(columns(probe, chosen))
    pairs = [pair for left, right in matches.pairs(size) for pair in zip(left.tolist(), right.tolist(), strict=True)]
    expected = [
        (left, right)
        for left, one in enumerate(probe)
        for right, other in enumerate(build)
        if all(same(one[number], other[number]) for number in chosen)
    ]
    assert pairs == expected
    assert matches.pair_count == len(expected)
    assert sorted(matches.build_matched().tolist()) == sorted({right for _, right in expected})
    assert matches.counts.tolist() == [sum(left == row for left, _ in expected) for row in range(len(probe))]


def test_chunks_of_pairs_are_full_but_the_last() -> None:
    matches = KeyTable([pa.array([1] * 10)]).match([pa.array([1] * 10)])
    assert [len(left) for left, _ in matches.pairs(30)] == [30, 30, 30, 10]


def test_codes_of_many_columns_do_not_overflow() -> None:
    # Ten columns of 200 values each: 200^10 combinations are more than 64 bits.
    random = np.random.default_rng(3)
    keys = [pa.array(random.integers(0, 200, 400)) for _ in range(10)]
    (left, _), (right, _) = encode_together(keys, keys)
    assert left.tolist() == right.tolist()
    assert len(np.unique(left)) == len(set(zip(*(key.to_pylist() for key in keys), strict=True)))
    assert left.min() >= 0


@pytest.mark.parametrize("type_", [pa.null(), pa.int32(), pa.decimal32(5, 2), pa.binary(2), pa.bool_()])
def test_only_nulls_match_nothing(type_: pa.DataType) -> None:
    nulls = pa.nulls(3, type_)
    assert KeyTable([nulls]).match([nulls]).pair_count == 0
    assert drop_null_keys([nulls]).tolist() == [False] * 3


def test_one_narrow_column_needs_no_large_probes_and_others_say_how_large() -> None:
    assert KeyTable([pa.array([1, 2, 3])]).probe_rows == 0
    assert KeyTable([pa.array(["a", "b", "c"])]).probe_rows == 3


def test_columns_of_sliced_batches_are_joined_as_they_are_seen() -> None:
    batch = pa.record_batch({"k": ["a", "b", "c"]})
    assert concat_column([batch.slice(1), batch.slice(0, 1)], 0).to_pylist() == ["b", "c", "a"]
    table = KeyTable([batch.column(0).slice(1)])
    assert [right.tolist() for _, right in table.match([pa.array(["c"])]).pairs(9)] == [[1]]
