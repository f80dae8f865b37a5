"""Partitions are cut where PySpark cuts them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.compat.pyspark import SparkContext
from esker.compat.pyspark.slices import slices


@given(st.integers(0, 300), st.integers(1, 40), st.integers(1, 20))
def test_every_element_lies_in_one_slice_in_order(size: int, count: int, batch: int) -> None:
    for elements in (list(range(size)), range(5, 5 + 3 * size, 3), range(size, 0, -1)):
        parts = slices(elements, count, batch)
        assert len(parts) == count
        assert [n for part in parts for n in part] == list(elements)


@given(st.integers(0, 300), st.integers(1, 40))
def test_a_range_is_cut_at_each_partitions_share(size: int, count: int) -> None:
    parts = slices(range(size), count, 1024)
    assert [len(part) for part in parts] == [(k + 1) * size // count - k * size // count for k in range(count)]


# What glom() of PySpark 4.3 gives.
KNOWN = [
    ([1, 2, 3, 4, 5, 6, 7], 4, [[1], [2, 3], [4, 5], [6, 7]]),
    ([1, 2, 3, 4, 5], 3, [[1], [2, 3], [4, 5]]),
    (list(range(10)), 4, [[0, 1], [2, 3], [4, 5], [6, 7, 8, 9]]),
    (["a", "b", "c"], 2, [["a"], ["b", "c"]]),
    ([1], 3, [[], [], [1]]),
    ([], 2, [[], []]),
    (range(10), 4, [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]),
    (range(0, 6, 2), 5, [[], [0], [], [2], [4]]),
    (iter("abcd"), 2, [["a", "b"], ["c", "d"]]),
]


@pytest.mark.parametrize(("elements", "count", "parts"), KNOWN)
def test_slices_are_those_of_pyspark(sc: SparkContext, elements: Any, count: int, parts: list[list[Any]]) -> None:
    assert sc.parallelize(elements, count).glom().collect() == parts


def test_a_context_with_batches_of_two_cuts_between_them() -> None:
    with SparkContext("local[2]", "batches", batchSize=2) as sc:
        assert sc.parallelize(list(range(9)), 2).glom().collect() == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]


def test_a_number_of_slices_below_one_is_refused(sc: SparkContext) -> None:
    with pytest.raises(ValueError, match="Positive number of partitions"):
        sc.parallelize([1], 0)
