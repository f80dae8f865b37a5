"""Bounds of figures from some of the partitions."""

from __future__ import annotations

import math
import random
import statistics
import time

import pytest

from esker.compat.pyspark import SparkContext, StatCounter
from esker.compat.pyspark.approximate import bounded_mean, bounded_sum, quantile

# Two-sided quantiles of Student's distribution (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2).
TABLE = {
    (2, 0.95): 12.706,
    (3, 0.95): 4.303,
    (4, 0.95): 3.182,
    (5, 0.95): 2.776,
    (6, 0.99): 4.032,
    (11, 0.99): 3.169,
    (31, 0.90): 1.697,
    (61, 0.95): 2.000,
    (100, 0.95): 1.984,
}


@pytest.mark.parametrize(("count", "confidence"), TABLE)
def test_quantiles_are_those_of_the_tables(count: int, confidence: float) -> None:
    assert quantile(count, confidence) == pytest.approx(TABLE[count, confidence], abs=5e-4)


def test_many_values_have_normal_bounds_and_certainty_none() -> None:
    assert quantile(10_000, 0.95) == pytest.approx(1.95996, abs=1e-5)
    assert quantile(10, 1.0) == math.inf


def test_the_mean_lies_within_its_bounds_as_often_as_it_should() -> None:
    chance = random.Random(3)
    held = 0
    for _ in range(400):
        seen = StatCounter([chance.gauss(5, 2) for _ in range(12)])
        bounds = bounded_mean(seen, 0.9)
        held += bounds.low <= 5 <= bounds.high
    assert 0.86 <= held / 400 <= 0.94


def test_a_sum_of_some_partitions_is_scaled_to_all() -> None:
    bounds = bounded_sum(StatCounter([10.0] * 5), 0.5, 0.95)
    assert bounds == pytest.approx(100)
    assert bounds.low < 100 < bounds.high
    assert bounds.confidence == 0.95


def test_nothing_seen_bounds_nothing() -> None:
    assert bounded_sum(StatCounter(), 1.0, 0.95).high == math.inf
    assert bounded_mean(StatCounter([1.0]), 0.95).low == -math.inf


def test_all_partitions_give_the_exact_figure(sc: SparkContext) -> None:
    numbers = sc.range(1000, numSlices=10)
    assert numbers.countApprox(60_000) == 1000
    total = numbers.sumApprox(60_000)
    assert (total, total.low, total.high, total.confidence) == (499500, 499500, 499500, 1.0)
    assert numbers.meanApprox(60_000) == pytest.approx(statistics.fmean(range(1000)))


def test_what_is_not_done_in_time_is_estimated() -> None:
    def slow_at_the_end(index: int, elements: object) -> object:
        if index == 3:
            time.sleep(600)
        return elements

    with SparkContext("local[2]", "late") as sc:
        assert sc.range(4, numSlices=4).map(str).count() == 4, "workers are there, whose start takes time"
        numbers = sc.parallelize([1] * 80, 4).mapPartitionsWithIndex(slow_at_the_end)
        total = numbers.sumApprox(3000)
        assert 60 <= total <= 80
        assert total.confidence == 0.95
        assert total.low <= 80 <= total.high
        assert sc.range(4).count() == 4, "the context goes on"
