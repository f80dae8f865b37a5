"""Histograms by PySpark's rules: what its own tests check of buckets."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.compat.pyspark import SparkContext
from esker.compat.pyspark.histogram import given_buckets


@given(st.lists(st.integers(-20, 60)), st.lists(st.integers(0, 50), min_size=2, max_size=8, unique=True).map(sorted))
def test_a_value_is_counted_in_the_bucket_that_holds_it(values: list[int], edges: list[int]) -> None:
    counts = given_buckets(edges)(values)
    for number, (low, high) in enumerate(pairwise(edges)):
        last = number == len(edges) - 2
        assert counts[number] == sum(low <= value < high or (last and value == high) for value in values)


@pytest.mark.parametrize(
    ("values", "buckets", "expected"),
    [
        ([], [0, 10], [0]),
        ([10.01, -0.01], [0, 10], [0]),
        (range(1, 5), [0, 10], [4]),
        ([10.01, -0.01], [0, 4, 10], [0, 0]),
        ([1, 2, 3, 5, 6], [0, 5, 10], [3, 2]),
        ([1, 2, 3, 5, 6, None, math.nan], [0, 5, 10], [3, 2]),
        ([10.01, -0.01], [0, 4, 8, 12], [0, 0, 1]),
        ([1, 2, 3, 5, 6], [0, 5, 11], [3, 2]),
        ([-0.01, 0.0, 1, 2, 3, 5, 6, 11.0, 11.01], [0, 5, 11], [4, 3]),
        ([-0.01, 0.0, 1, 12, 199.0, 199.1, 200.0, 200.1], [0.0, 2.0, 11.0, 12.0, 200.0], [2, 0, 0, 4]),
        ([10.01, -0.01, math.nan], [-math.inf, 0, 100, math.inf], [1, 1, 0]),
    ],
)
def test_given_edges(sc: SparkContext, values: Any, buckets: list[float], expected: list[int]) -> None:
    assert sc.parallelize(values, 2).histogram(buckets) == (buckets, expected)


@pytest.mark.parametrize(
    ("values", "count", "expected"),
    [
        (range(1, 5), 1, ([1, 4], [4])),
        (range(1, 5), 2, ([1, 2.5, 4], [2, 2])),
        ([1, 1], 3, ([1, 1], [2])),
        ([1, None, 3.0, math.nan], 2, ([1, 2, 3], [1, 1])),
        (["a", "b"], 1, (["a", "b"], [2])),
    ],
)
def test_a_number_of_buckets(sc: SparkContext, values: Any, count: int, expected: Any) -> None:
    assert sc.parallelize(values, 2).histogram(count) == expected


@pytest.mark.parametrize(
    ("buckets", "kind", "words"),
    [
        (0, ValueError, ">= 1"),
        ([1], ValueError, "more than one"),
        ([1, None], ValueError, "None or NaN"),
        ([1, math.nan], ValueError, "None or NaN"),
        ([2, 1], ValueError, "sorted"),
        ([1, 1, 2], ValueError, "duplicated"),
        ("ab", TypeError, "list or tuple"),
    ],
)
def test_wrong_buckets(sc: SparkContext, buckets: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        sc.parallelize([1, 2]).histogram(buckets)


def test_texts_have_no_even_buckets(sc: SparkContext) -> None:
    with pytest.raises(TypeError, match="non-number"):
        sc.parallelize(["a", "b"]).histogram(2)
    with pytest.raises(ValueError, match="infinite"):
        sc.parallelize([1, math.inf]).histogram(2)
    with pytest.raises(ValueError, match="empty"):
        sc.parallelize([None, math.nan]).histogram(2)
