"""Samples are those that PySpark draws."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.compat.pyspark import SparkContext
from esker.compat.pyspark.sampling import RangeSampler, Sampler, StratifiedSampler, safe_fraction


def _as_pyspark_draws(partition: int, elements: range, fraction: float, seed: int) -> list[int]:
    chance = random.Random(seed ^ partition)
    for _ in range(10):
        chance.randint(0, 1)
    return [element for element in elements if chance.random() < fraction]


@given(st.integers(0, 2**63 - 1), st.integers(0, 50), st.floats(0, 1))
def test_a_sample_is_the_one_that_the_seed_and_the_partition_give_in_pyspark(
    seed: int, partition: int, fraction: float
) -> None:
    drawn = list(Sampler(False, fraction, seed)(partition, range(50)))
    assert drawn == _as_pyspark_draws(partition, range(50), fraction, seed)


def test_the_same_seed_gives_the_same_sample_whatever_the_workers(sc: SparkContext) -> None:
    numbers = sc.range(1000, numSlices=5)
    first = numbers.sample(False, 0.1, 7).collect()
    assert first == numbers.sample(False, 0.1, 7).collect()
    edges = [1000 * part // 5 for part in range(6)]
    expected = [n for part in range(5) for n in _as_pyspark_draws(part, range(edges[part], edges[part + 1]), 0.1, 7)]
    assert first == expected


@given(st.floats(0, 60), st.integers(0, 2**31))
def test_draws_with_replacement_have_the_mean_that_was_asked_for(mean: float, seed: int) -> None:
    drawn = len(list(Sampler(True, mean, seed)(0, range(400))))
    # Six standard deviations of a Poisson sum.
    assert abs(drawn - 400 * mean) <= 6 * (400 * mean) ** 0.5 + 6


def test_with_replacement_an_element_comes_several_times() -> None:
    assert len(list(Sampler(True, 3.0, 1)(0, range(10)))) > len(set(Sampler(True, 3.0, 1)(0, range(10))))


@given(st.integers(0, 2**31), st.lists(st.floats(0.01, 5), min_size=1, max_size=6))
def test_a_split_deals_every_element_to_one_part(seed: int, weights: list[float]) -> None:
    edges = [0.0]
    for weight in weights:
        edges.append(edges[-1] + weight / sum(weights))
    edges[-1] = 1.0
    parts = [list(RangeSampler(low, high, seed)(3, range(100))) for low, high in pairwise(edges)]
    assert sorted(n for part in parts for n in part) == list(range(100))


# What PySpark 4.3.0 gave for the same seeds and partitions.
DRAWN = [0, 4, 9, 11, 23, 47, 51, 76, 81, 95]
DRAWN_AGAIN = [
    1,
    2,
    3,
    3,
    3,
    5,
    6,
    7,
    7,
    8,
    9,
    9,
    10,
    10,
    10,
    12,
    12,
    12,
    13,
    13,
    14,
    15,
    16,
    16,
    16,
    17,
    17,
    18,
    19,
    19,
]
TAKEN = [5, 33, 15, 21, 39]
TAKEN_AGAIN = [10, 44, 34, 22, 29, 11, 46, 27, 38, 25, 28, 5, 29, 32, 17, 31, 27, 5, 9, 3]
SPLIT = [[2, 13], [1, 3, 5, 6, 8, 11, 15, 18], [0, 4, 7, 9, 10, 12, 14, 16, 17, 19]]
STRATA = [("a", 2), ("a", 7), ("a", 8), ("a", 9), ("a", 14), ("b", 17), ("b", 18)]


def test_draws_are_those_of_pyspark(sc: SparkContext) -> None:
    assert sc.range(100, numSlices=3).sample(False, 0.1, 7).collect() == DRAWN
    assert sc.range(20, numSlices=3).sample(True, 1.5, 7).collect() == DRAWN_AGAIN
    assert len(sc.range(20, numSlices=3).sample(True, 30, 7).collect()) == 608
    assert sc.range(50, numSlices=3).takeSample(False, 5, 3) == TAKEN
    assert sc.range(50, numSlices=3).takeSample(True, 60, 3)[:20] == TAKEN_AGAIN
    assert sc.range(5, numSlices=3).takeSample(False, 60, 3) == [0, 2, 3, 4, 1]
    assert [part.collect() for part in sc.range(20, numSlices=2).randomSplit([1, 2, 3], 5)] == SPLIT
    pairs = [(key, n) for key in "ab" for n in range(20)]
    assert sc.parallelize(pairs, 3).sampleByKey(False, {"a": 0.3, "b": 0.1}, 9).collect() == STRATA


def test_strata_have_fractions_of_their_own() -> None:
    pairs = [("all", n) for n in range(20)] + [("none", n) for n in range(20)]
    drawn = list(StratifiedSampler(False, {"all": 1.0, "none": 0.0}, 5)(0, pairs))
    assert drawn == pairs[:20]


@given(st.integers(1, 1000), st.integers(1, 1000), st.booleans())
def test_a_safe_fraction_is_never_below_the_share(wanted: int, more: int, replacing: bool) -> None:
    total = wanted + more
    fraction = safe_fraction(wanted, total, replacing)
    assert fraction > wanted / total
    assert replacing or fraction <= 1


def test_take_sample_gives_as_many_as_asked_for(sc: SparkContext) -> None:
    numbers = sc.range(200, numSlices=3)
    for replacing in (False, True):
        for size in (1, 20, 200):
            drawn = numbers.takeSample(replacing, size, 11)
            assert len(drawn) == size
            assert set(drawn) <= set(range(200))
            assert replacing or len(set(drawn)) == size
            assert drawn == numbers.takeSample(replacing, size, 11)
    assert sorted(numbers.takeSample(False, 500)) == list(range(200))


def test_wrong_samples_are_refused(sc: SparkContext) -> None:
    numbers = sc.range(10)
    with pytest.raises(ValueError, match="nonnegative"):
        numbers.sample(False, -0.1)
    with pytest.raises(ValueError, match="nonnegative"):
        numbers.randomSplit([1, -1])
    with pytest.raises(ValueError, match="positive"):
        numbers.randomSplit([0, 0])
    with pytest.raises(ValueError, match="negative"):
        numbers.takeSample(False, -1)
    with pytest.raises(AssertionError, match="Negative fraction"):
        sc.parallelize([("a", 1)]).sampleByKey(False, {"a": -1.0})
