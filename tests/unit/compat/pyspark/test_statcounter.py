"""Summaries agree with Python's own statistics, however the numbers are divided."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.compat.pyspark import SparkContext, StatCounter

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def _agrees(counter: StatCounter, values: list[float]) -> None:
    assert counter.count() == len(values)
    assert counter.mean() == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-6)
    assert counter.sum() == pytest.approx(math.fsum(values), rel=1e-9, abs=1e-4)
    assert counter.variance() == pytest.approx(statistics.pvariance(values), rel=1e-6, abs=1e-4)
    assert counter.min() == min(values)
    assert counter.max() == max(values)
    if len(values) > 1:
        assert counter.sampleVariance() == pytest.approx(statistics.variance(values), rel=1e-6, abs=1e-4)
        assert counter.sampleStdev() == pytest.approx(statistics.stdev(values), rel=1e-5, abs=1e-2)


@given(numbers, st.data())
def test_two_parts_are_summarised_as_the_whole(values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    _agrees(StatCounter(values), values)
    _agrees(StatCounter(values[:cut]).mergeStats(StatCounter(values[cut:])), values)


def test_merging_with_itself_counts_twice() -> None:
    counter = StatCounter([1.0, 2.0])
    counter.mergeStats(counter)
    _agrees(counter, [1.0, 2.0, 1.0, 2.0])


def test_merging_leaves_the_other_as_it_is() -> None:
    empty, other = StatCounter(), StatCounter([np.array([1.0, 2.0])])
    empty.mergeStats(other).merge(np.array([3.0, 0.0]))
    assert other.count() == 1
    assert other.max().tolist() == [1.0, 2.0]


def test_arrays_are_summarised_element_by_element(sc: SparkContext) -> None:
    arrays = [np.array([1.0, 8.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0])]
    stats = sc.parallelize(arrays, 2).stats()
    assert stats.mean().tolist() == [3.0, 6.0]
    assert stats.min().tolist() == [1.0, 4.0]
    assert stats.max().tolist() == [5.0, 8.0]
    assert np.allclose(stats.stdev(), np.std(arrays, axis=0))


def test_nothing_has_no_variance_and_one_value_no_variance_of_a_sample() -> None:
    assert math.isnan(StatCounter().variance())
    assert math.isnan(StatCounter([1]).sampleVariance())
    assert StatCounter().max() == -math.inf


def test_not_a_number_stays() -> None:
    assert math.isnan(StatCounter([1.0, math.nan, 2.0]).max())
    assert math.isnan(StatCounter([1.0, math.nan, 2.0]).min())


def test_only_summaries_are_merged() -> None:
    with pytest.raises(TypeError, match="Can only merge StatCounter"):
        StatCounter().mergeStats(3)  # type: ignore[arg-type]


def test_the_dictionary_has_pysparks_words() -> None:
    given = StatCounter([1.0, 2.0, 3.0, 4.0]).asDict(sample=True)
    assert given["stdev"] == pytest.approx(1.118033988749895)
    assert set(given) == {"count", "mean", "sum", "min", "max", "stdev", "variance"}
