"""Samples of a number of elements, and combinations cut into ranges."""

from __future__ import annotations

import itertools
import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import esker
from esker.engine.bag.combined import combinations_from, unranked


def inline(bag: esker.Bag) -> esker.Bag:
    return bag.with_options(runtime="inline")


@given(n=st.integers(0, 8), k=st.integers(0, 5), begin=st.integers(0, 80))
def test_combinations_begin_anywhere(n: int, k: int, begin: int) -> None:
    expected = list(itertools.combinations(range(n), k))
    assert list(combinations_from(range(n), k, begin)) == expected[begin:]
    if begin < len(expected):
        assert tuple(unranked(n, k, begin)) == expected[begin]


@given(n=st.integers(0, 9), k=st.integers(0, 4), partitions=st.integers(1, 6))
def test_combinations_are_those_of_python_in_order(n: int, k: int, partitions: int) -> None:
    bag = inline(esker.range(n, partitions=3)).combinations(k, partitions)
    assert bag.collect() == list(itertools.combinations(range(n), k))
    assert bag.partition_count == partitions
    sizes = [len(part) for part in bag.glom().collect()]
    assert max(sizes) - min(sizes) <= 1


def test_the_first_of_many_combinations_are_there_at_once() -> None:
    bag = esker.range(100_000).combinations(2, 8)
    assert bag.take(3) == [(0, 1), (0, 2), (0, 3)]
    assert bag.run(lambda pairs: next(pairs), partitions=[bag.partition_count - 1])[0][0] > 50_000


def test_combinations_of_one_partition_are_shared_by_all_workers() -> None:
    bag = esker.of(range(60), partitions=1).with_options(workers=2).combinations(2)
    assert len(bag.map(lambda pair: os.getpid()).distinct().collect()) == 2


@given(n=st.integers(0, 60), limit=st.integers(0, 70), partitions=st.integers(1, 5), seed=st.integers(0, 99))
def test_samples_of_a_number_have_that_many_and_only_elements(n: int, limit: int, partitions: int, seed: int) -> None:
    bag = inline(esker.range(n, partitions=partitions))
    drawn = bag.take_sample(limit, seed)
    assert len(drawn) == len(set(drawn)) == min(n, limit)
    assert set(drawn) <= set(range(n))
    again = bag.take_sample(limit, seed, replacement=True)
    assert len(again) == (limit if n else 0)
    assert set(again) <= set(range(n))
    assert again == bag.take_sample(limit, seed, replacement=True)


def test_every_element_is_as_likely_as_another() -> None:
    bag = inline(esker.range(10, partitions=3))
    for replacement in (False, True):
        drawn = Counter(x for seed in range(600) for x in bag.take_sample(2, seed, replacement=replacement))
        assert set(drawn) == set(range(10))
        assert 80 < min(drawn.values()) <= max(drawn.values()) < 160


def test_lookups_give_all_values_of_a_key() -> None:
    bag = inline(esker.of([(n % 3, n) for n in range(10)], partitions=4))
    assert bag.lookup(1) == [1, 4, 7]
    assert bag.lookup("none") == []


@pytest.mark.parametrize("runtime", ["inline", "processes"])
def test_a_checkpoint_runs_once_and_forgets_where_it_came_from(runtime: str) -> None:
    seen = esker.accumulator()
    bag = esker.range(10, partitions=2).map(lambda n: seen.add(1) or n).with_options(runtime=runtime).checkpoint()
    assert seen.value == 10
    assert bag.collect() == list(range(10))
    assert bag.partition_count == 2
    assert seen.value == 10
    assert bag._node.parents == ()
