"""Narrow steps and actions come to what plain Python does, in every runtime, however the partitions are cut."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import esker
from esker.errors import EmptyBagError, InputError, NestedCollectionError, OptionError

Step = tuple[str, Any, Callable[[list[Any]], list[Any]]]

STEPS: list[Step] = [
    ("map", lambda n: n + 1, lambda xs: [n + 1 for n in xs]),
    ("filter", lambda n: n % 3, lambda xs: [n for n in xs if n % 3]),
    ("flat_map", lambda n: range(n % 4), lambda xs: [m for n in xs for m in range(n % 4)]),
    ("flat_map", lambda n: (m for m in (n, -n)), lambda xs: [m for n in xs for m in (n, -n)]),
    ("map_batches", lambda batch: batch[::-1] and batch, lambda xs: xs),
    ("map_partitions", lambda part: (n * 2 for n in part), lambda xs: [n * 2 for n in xs]),
]


@pytest.mark.parametrize("runtime", ["inline", "threads"])
@given(
    numbers=st.lists(st.integers(-50, 50), max_size=60),
    partitions=st.integers(1, 7),
    chosen=st.lists(st.sampled_from(STEPS), max_size=6),
)
def test_any_chain_of_steps_comes_to_what_plain_python_does(
    runtime: str, numbers: list[int], partitions: int, chosen: list[Step]
) -> None:
    bag, expected = esker.of(numbers, partitions).with_options(runtime=runtime), numbers
    for name, function, plain in chosen:
        bag, expected = getattr(bag, name)(function), plain(expected)
    assert bag.collect() == expected
    assert list(bag) == expected
    assert bag.count() == len(expected)
    assert bag.take(3) == expected[:3]
    assert bag.partition_count == partitions


@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.text(max_size=3))), partitions=st.integers(1, 4))
def test_steps_on_pairs_come_to_what_plain_python_does(pairs: list[tuple[int, str]], partitions: int) -> None:
    bag = esker.of(pairs, partitions).with_options(runtime="inline")
    assert bag.map_values(str.upper).collect() == [(k, v.upper()) for k, v in pairs]
    assert bag.flat_map_values(list).collect() == [(k, c) for k, v in pairs for c in v]
    assert bag.keys().zip(bag.values()).collect() == pairs
    assert bag.pluck(1).key_by(len).collect() == [(len(v), v) for _, v in pairs]
    assert bag.star_map(lambda k, v: v * k).collect() == [v * k for k, v in pairs]
    assert bag.zip_with_index().collect() == [(pair, n) for n, pair in enumerate(pairs)]
    assert bag.enumerate(5).collect() == list(enumerate(pairs, 5))
    unique = bag.zip_with_unique_id().values().collect()
    assert len(set(unique)) == len(pairs)


@given(
    numbers=st.lists(st.integers() | st.floats(allow_nan=False), min_size=1),
    partitions=st.integers(1, 6),
    k=st.integers(0, 9),
)
def test_actions_come_to_what_plain_python_does(numbers: list[float], partitions: int, k: int) -> None:
    bag = esker.of(numbers, partitions).with_options(runtime="inline")
    assert bag.min() == min(numbers)
    assert bag.max() == max(numbers)
    assert bag.max(key=lambda n: -n) == min(numbers)
    assert bag.top(k) == sorted(numbers, reverse=True)[:k]
    assert bag.take_ordered(k) == sorted(numbers)[:k]
    assert bag.first() == numbers[0]
    texts = bag.map(str)
    assert texts.reduce(lambda a, b: a + b) == "".join(map(str, numbers))
    assert texts.tree_reduce(lambda a, b: a + b) == "".join(map(str, numbers))
    assert texts.fold("", lambda a, b: a + b) == "".join(map(str, numbers))
    assert bag.aggregate([], lambda xs, x: [*xs, x], lambda a, b: a + b) == numbers
    assert bag.tree_aggregate([], lambda xs, x: [*xs, x], lambda a, b: a + b) == numbers
    counted: dict[float, int] = {}
    for number in numbers:
        counted[number] = counted.get(number, 0) + 1
    assert bag.count_by_value() == counted


def test_a_zero_that_is_changed_is_each_partitions_own() -> None:
    zero: list[int] = []
    found = (
        esker.range(6, partitions=3)
        .with_options(runtime="inline")
        .aggregate(zero, lambda xs, n: xs.append(n) or xs, lambda a, b: a.extend(b) or a)
    )
    assert found == [0, 1, 2, 3, 4, 5]
    assert zero == []


def test_stats_are_those_of_the_numbers() -> None:
    numbers = [1.0, 2.0, 3.5, -4.0, 10.25]
    found = esker.of(numbers, partitions=3).with_options(runtime="inline").stats()
    assert (found.count, found.min, found.max) == (5, -4.0, 10.25)
    assert found.mean == pytest.approx(statistics.mean(numbers))
    assert found.variance == pytest.approx(statistics.pvariance(numbers))
    assert found.sample_stdev == pytest.approx(statistics.stdev(numbers))


def test_histograms_count_edges_once_and_leave_out_what_has_no_place() -> None:
    bag = esker.of([1, 2.5, None, float("nan"), 3, 4, 99], partitions=2).with_options(runtime="inline")
    assert bag.histogram([1, 2, 3, 4]) == ([1, 2, 3, 4], [1, 1, 2])
    with pytest.raises(OptionError, match="must rise"):
        bag.histogram([3, 1])
    with pytest.raises(EmptyBagError):
        esker.of([], partitions=1).with_options(runtime="inline").histogram(3)


def test_partitions_are_cut_at_even_places_and_keep_empty_ones() -> None:
    assert esker.range(5, partitions=3).glom().with_options(runtime="inline").collect() == [[0], [1, 2], [3, 4]]
    bag = esker.Bag.from_partitions([[1], [], [2, 3]]).with_options(runtime="inline")
    assert bag.glom().collect() == [[1], [], [2, 3]]
    assert bag.coalesce(2).glom().collect() == [[1], [2, 3]]


def test_steps_added_before_a_union_keep_their_partitions_numbers() -> None:
    def tagged(bag: esker.Bag) -> esker.Bag:
        return bag.map_partitions_with_index(lambda index, items: ((index, item) for item in items))

    left, right = (tagged(esker.of(text, partitions=2).with_options(runtime="inline")) for text in ("ab", "cd"))
    both = tagged(left + right)
    assert both.collect() == [(0, (0, "a")), (1, (1, "b")), (2, (0, "c")), (3, (1, "d"))]


def test_samples_are_the_same_for_the_same_seed_and_divide_without_overlap() -> None:
    bag = esker.range(2000, partitions=3).with_options(runtime="inline")
    assert bag.sample(0.3, 5).collect() == bag.sample(0.3, 5).collect() != bag.sample(0.3, 6).collect()
    assert 500 < bag.sample(0.3, 5).count() < 700
    assert 3500 < bag.sample(2.0, 5, replacement=True).count() < 4500
    parts = [part.collect() for part in bag.random_split([1, 2, 1], 3)]
    assert sorted(itertools.chain(*parts)) == list(range(2000))
    assert 800 < len(parts[1]) < 1200


def test_zips_of_unequal_partitions_are_refused() -> None:
    left = esker.of([1, 2, 3], partitions=1).with_options(runtime="inline")
    for other in ([1, 2], [1, 2, 3, 4]):
        with pytest.raises(InputError, match="elements in this partition"):
            left.zip(esker.of(other, partitions=1)).collect()
    with pytest.raises(InputError, match="1 partitions, the right one 2"):
        left.zip(esker.of([1, 2, 3], partitions=2))


def test_nothing_runs_before_it_is_asked_for_and_take_stops_early() -> None:
    called: list[int] = []

    def seen(n: int) -> int:
        called.append(n)
        return n

    bag = esker.range(100, partitions=5).with_options(runtime="inline").map(seen)
    assert called == []
    assert bag.take(3) == [0, 1, 2]
    assert called == [0, 1, 2]
    elements = iter(bag)
    assert called == [0, 1, 2]
    next(elements)
    elements.close()
    assert len(called) < 10


def test_leaving_a_stream_early_closes_the_functions_generators() -> None:
    closed: list[str] = []

    def generated(n: int) -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.append("closed")

    elements = iter(esker.of([1], partitions=1).with_options(runtime="inline").flat_map(generated))
    assert next(elements) == 0
    elements.close()
    assert closed == ["closed"]
    bag = esker.of([1], partitions=1).with_options(runtime="inline").flat_map(generated)
    assert bag.take(2) == [0, 1]
    assert closed == ["closed"] * 2


def test_a_stop_iteration_of_the_function_is_an_error_and_no_end() -> None:
    def stops(n: int) -> int:
        if n == 3:
            raise StopIteration
        return n

    for runtime in ("inline", "threads"):
        bag = esker.range(10, partitions=1).with_options(runtime=runtime)
        for broken in (bag.map(stops), bag.map_partitions(lambda part: (stops(n) for n in part))):
            with pytest.raises(esker.errors.UserFunctionError, match="StopIteration"):
                broken.collect()


def test_empty_bags_say_so() -> None:
    empty = esker.of([], partitions=3).with_options(runtime="inline")
    assert (empty.collect(), empty.count(), empty.sum(), empty.is_empty()) == ([], 0, 0, True)
    for action in (empty.first, empty.min, empty.mean, lambda: empty.reduce(max)):
        with pytest.raises(EmptyBagError):
            action()


OTHER = esker.range(3)


def uses_a_global(n: int) -> int:
    return n * OTHER.count()


@pytest.mark.parametrize(
    "function, name",
    [
        (uses_a_global, "OTHER"),
        (lambda n, other=OTHER: n, "other"),
        ((lambda other: lambda n: other.count())(OTHER), "other"),
        (lambda n: [m * OTHER.first() for m in range(n)], "OTHER"),
        ((lambda held: lambda n: held["x"])({"x": OTHER}), "\\['x'\\]"),
    ],
)
def test_a_collection_in_a_function_is_refused_where_it_is_handed_over(function: Any, name: str) -> None:
    with pytest.raises(NestedCollectionError, match=f"uses {name}|uses .{name}|'{name}'"):
        esker.of([1]).map(function)


def test_a_dataset_in_a_function_is_refused_too() -> None:
    rows = esker.from_arrow({"n": [1]})
    with pytest.raises(NestedCollectionError, match="'rows', which is a Dataset"):
        esker.of([1]).map(lambda n: rows.count())


@pytest.mark.parametrize("runtime", ["inline", "threads"])
def test_a_collection_made_within_a_function_is_refused_when_it_runs(runtime: str) -> None:
    with pytest.raises(NestedCollectionError, match="inside a function"):
        esker.of([1]).with_options(runtime=runtime).map(lambda n: esker.of([n]).count()).collect()
