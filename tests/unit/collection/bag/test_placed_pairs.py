"""Pairs that lie in the partitions a step wants them in are not moved again: bytes of stages are counted."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import esker
from esker.compat.pyspark import SparkContext
from esker.engine.bag import wide
from esker.engine.bag.moved import Moved
from esker.errors import UserFunctionError

LEFT = [(f"key{n % 40}", n) for n in range(200)]
RIGHT = [(f"key{n % 60}", -n) for n in range(120)]


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that each stage of a wide step has moved."""
    counted: list[int] = []
    stage = wide.WideNode.stage

    def counting(self: wide.WideNode, *arguments: Any, **options: Any) -> Moved:
        left = stage(self, *arguments, **options)
        counted.append(sum(sum(left.runs(n).byte_counts) for n in range(len(left.values))))  # type: ignore[union-attr]
        return left

    monkeypatch.setattr(wide.WideNode, "stage", counting)
    return counted


def of(pairs: list[tuple[Any, Any]], partitions: int = 3) -> esker.Bag:
    return esker.of(pairs, partitions=partitions).with_options(runtime="inline")


def values_of(pairs: list[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    grouped: dict[Any, list[Any]] = {}
    for key, value in pairs:
        grouped.setdefault(key, []).append(value)
    return grouped


def test_a_join_with_a_placed_side_moves_the_other_side_only(moved: list[int]) -> None:
    right = values_of(RIGHT)
    expected = sorted((key, (one, other)) for key, one in LEFT for other in right.get(key, ()))
    assert sorted(of(LEFT).join(of(RIGHT), partitions=4).collect()) == expected
    both = list(moved)
    moved.clear()
    placed = of(LEFT).partition_by(4).persist()
    assert placed.count() == 200
    once = list(moved)
    moved.clear()
    assert sorted(placed.join(of(RIGHT)).collect()) == expected
    assert len(both) == 2
    assert len(once) == 1
    assert moved == [both[1]]


def test_a_join_of_two_placed_sides_moves_nothing_and_gives_the_same_in_the_same_order(moved: list[int]) -> None:
    for method in ("join", "left_join", "right_join", "full_join", "cogroup", "subtract_by_key"):
        sides = of(LEFT).partition_by(4), of(RIGHT).map_values(lambda n: n - 1).partition_by(4)
        left, right = (side.map_values(str).filter(lambda pair: pair[1] != "7") for side in sides)
        apart = [side.map(lambda pair: pair) for side in (left, right)]
        shown = [_shown(getattr(one, method)(other, partitions=4)) for one, other in ((left, right), apart)]
        assert shown[0] == shown[1]
        assert len(shown[0]) == 4
    # Placing the sides, twice for each method, and moving those whose keys a map may have changed.
    assert len(moved) == 6 * (2 + 2 + 2)


def _shown(bag: esker.Bag) -> list[list[str]]:
    def shown(pair: Any) -> str:
        key, value = pair
        parts = value if isinstance(value, tuple) else (value,)
        return repr((key, [part if isinstance(part, str | None) else list(part) for part in parts]))

    return bag.map(shown).glom().collect()


def test_reducing_and_grouping_what_is_placed_moves_nothing(moved: list[int]) -> None:
    placed = of(LEFT).partition_by(3)
    assert dict(placed.reduce_by_key(operator.add).collect()) == {k: sum(v) for k, v in values_of(LEFT).items()}
    assert dict(placed.group_by_key().map_values(list).collect()) == values_of(LEFT)
    summed = of(LEFT).reduce_by_key(operator.add, 3)
    assert dict(summed.map_values(abs).fold_by_key(1, operator.add).collect()) == {
        k: 1 + sum(v) for k, v in values_of(LEFT).items()
    }
    assert placed.partition_by(3).glom().collect() == placed.glom().collect()
    ordered = placed.repartition_and_sort_within_partitions(3).keys().glom().collect()
    assert ordered == [sorted(part) for part in placed.keys().glom().collect()]
    assert len(moved) == 7  # each time what was asked for was placed, once


def test_another_number_or_function_of_partitions_moves(moved: list[int]) -> None:
    placed = of(LEFT).partition_by(3)
    for bag in (
        placed.group_by_key(4),
        placed.group_by_key(3, partition_function=len),
        placed.map(tuple).group_by_key(3),
    ):
        moved.clear()
        assert dict(bag.map_values(list).collect()) == values_of(LEFT)
        assert len(moved) == 2
    by_length = of(LEFT).partition_by(3, len)
    moved.clear()
    assert dict(by_length.group_by_key(3, partition_function=len).map_values(list).collect()) == values_of(LEFT)
    assert len(moved) == 1


keyed = st.lists(st.tuples(st.one_of(st.integers(0, 9), st.sampled_from([1.0, None, "a", (1, "b")])), st.integers()))


@given(keyed, keyed, st.integers(1, 4), st.sampled_from(["16MiB", "64MiB"]))
def test_placed_or_not_a_cogroup_is_that_of_dicts(
    left: list[tuple[Any, int]], right: list[tuple[Any, int]], partitions: int, memory: str
) -> None:
    one, other = (of(side, 2).with_options(memory=memory).partition_by(partitions) for side in (left, right))
    found = {key: tuple(map(list, sides)) for key, sides in one.cogroup(other).map_values(_lists).collect()}
    keys = {**values_of(left), **values_of(right)}
    assert found == {key: (values_of(left).get(key, []), values_of(right).get(key, [])) for key in keys}


def _lists(sides: Any) -> list[list[Any]]:
    return [list(side) for side in sides]


def test_a_function_that_fails_before_a_placed_side_is_read_is_named() -> None:
    def broken(n: int) -> int:
        raise ValueError(f"no {n}")

    placed = of(LEFT).partition_by(3).map_values(broken)
    for bag in (placed.join(of(RIGHT), 3), placed.reduce_by_key(operator.add)):
        with pytest.raises(UserFunctionError, match=r"no \d+") as told:
            bag.collect()
        assert "map_values(broken)" in str(told.value)


def test_workers_read_placed_sides_and_leave_no_file() -> None:
    left = esker.of(LEFT, partitions=3).partition_by(4)
    right = esker.of(RIGHT, partitions=2).partition_by(4)
    joined = left.join(right)
    values = values_of(RIGHT)
    assert sorted(joined.collect()) == sorted((k, (one, other)) for k, one in LEFT for other in values.get(k, ()))
    assert len(joined.take(1)) == 1


@pytest.fixture
def spark() -> Iterator[SparkContext]:
    with SparkContext("local[2]", "placed") as sc:
        yield sc


def test_an_rdd_placed_alike_is_joined_where_it_lies(
    spark: SparkContext, moved: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    both: Callable[[], list[Any]] = lambda: sorted(spark.parallelize(LEFT).join(spark.parallelize(RIGHT), 4).collect())  # noqa: E731
    expected = both()
    assert len(moved) == 2
    left = spark.parallelize(LEFT).partitionBy(4).cache()
    assert left.count() == 200
    moved.clear()
    assert sorted(left.join(spark.parallelize(RIGHT), 4).collect()) == expected
    assert len(moved) == 1
    moved.clear()
    ranks = left.mapValues(lambda n: 1.0)
    for _ in range(3):
        ranks = left.join(ranks, 4).mapValues(lambda pair: pair[1]).reduceByKey(max, 4)
    assert ranks.count() == 40
    assert moved == []
