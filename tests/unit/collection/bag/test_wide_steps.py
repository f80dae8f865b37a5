"""Wide steps give what plain Python gives, whatever the partitions, the runtime and the memory."""

from __future__ import annotations

import itertools
import operator
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import esker
from esker.collection.bag.bag import Bag
from esker.errors import InputError, NestedCollectionError, OptionError, UserFunctionError

keys = st.integers(-3, 9) | st.sampled_from(["a", "b", "ü"]) | st.none() | st.tuples(st.integers(0, 2), st.booleans())
pairs_of = st.lists(st.tuples(keys, st.integers(-50, 50)), max_size=40)
counts = st.integers(1, 5)
slowly = settings(max_examples=12, deadline=None)


def inline(elements: list[Any], partitions: int = 3) -> Bag:
    return esker.of(elements, partitions).with_options(runtime="inline")


def grouped(pairs: list[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)


@given(pairs=pairs_of, partitions=counts, wanted=counts)
@slowly
def test_values_of_a_key_come_together_in_the_order_of_the_input(
    pairs: list[tuple[Any, Any]], partitions: int, wanted: int
) -> None:
    bag = inline(pairs, partitions)
    expected = grouped(pairs)
    assert dict(bag.group_by_key(wanted).map_values(list).collect()) == expected
    assert dict(bag.group_by_key(wanted).map_values(len).collect()) == {k: len(v) for k, v in expected.items()}
    joined = bag.map_values(str).reduce_by_key(lambda a, b: f"{a},{b}", wanted)
    assert dict(joined.collect()) == {k: ",".join(map(str, v)) for k, v in expected.items()}
    assert dict(bag.fold_by_key(0, operator.add, wanted).collect()) == {k: sum(v) for k, v in expected.items()}
    listed = bag.aggregate_by_key([], lambda a, v: [*a, v], operator.add, wanted)
    assert dict(listed.collect()) == expected
    combined = bag.combine_by_key(lambda v: [v], lambda a, v: [*a, v], operator.add, wanted)
    assert dict(combined.collect()) == expected
    assert bag.group_by_key(wanted).partition_count == wanted


@given(left=pairs_of, right=pairs_of, wanted=counts)
@slowly
def test_joins_pair_what_two_loops_pair(left: list[tuple[Any, Any]], right: list[tuple[Any, Any]], wanted: int) -> None:
    one, other = inline(left, 3), inline(right, 2)
    ours, theirs = grouped(left), grouped(right)
    inner = Counter((k, (v, w)) for k, v in left for j, w in right if j == k)
    left_alone = Counter((k, (v, None)) for k, v in left if k not in theirs)
    right_alone = Counter((k, (None, w)) for k, w in right if k not in ours)
    assert Counter(one.join(other, wanted).collect()) == inner
    assert Counter(one.left_join(other, wanted).collect()) == inner + left_alone
    assert Counter(one.right_join(other, wanted).collect()) == inner + right_alone
    assert Counter(one.full_join(other, wanted).collect()) == inner + left_alone + right_alone
    assert Counter(one.subtract_by_key(other, wanted).collect()) == Counter(p for p in left if p[0] not in theirs)
    assert Counter(one.subtract(other, wanted).collect()) == Counter(p for p in left if p not in right)
    assert Counter(one.intersection(other, wanted).collect()) == Counter(set(left) & set(right))
    three = one.cogroup(other, one, partitions=wanted).map_values(lambda sides: [list(side) for side in sides])
    assert dict(three.collect()) == {
        k: [ours.get(k, []), theirs.get(k, []), ours.get(k, [])] for k in {**ours, **theirs}
    }


@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=60), partitions=counts, wanted=counts)
@slowly
def test_sorting_is_that_of_python_and_stable(pairs: list[tuple[int, int]], partitions: int, wanted: int) -> None:
    bag = inline(pairs, partitions)
    for ascending in (True, False):
        expected = sorted(pairs, key=lambda pair: pair[0], reverse=not ascending)
        assert bag.sort_by_key(ascending, wanted).collect() == expected
        assert bag.sort_by(lambda pair: pair[0], ascending, wanted).collect() == expected
    negated = sorted(pairs, key=lambda pair: -pair[0])
    assert bag.sort_by_key(partitions=wanted, key=lambda k: -k).collect() == negated
    assert bag.sort_by_key(partitions=wanted).partition_count == wanted
    within = bag.repartition_and_sort_within_partitions(wanted).glom().collect()
    assert within == [sorted((p for p in pairs if p[0] % wanted == n), key=lambda p: p[0]) for n in range(wanted)]


@given(elements=st.lists(keys, max_size=40), partitions=counts, wanted=counts)
@slowly
def test_elements_are_dealt_out_evenly_and_kept_once(elements: list[Any], partitions: int, wanted: int) -> None:
    bag = inline(elements, partitions)
    assert Counter(bag.distinct(wanted).collect()) == Counter(set(elements))
    parts = bag.repartition(wanted).glom().collect()
    assert Counter(e for part in parts for e in part) == Counter(elements)
    assert len(parts) == wanted
    assert max(map(len, parts)) - min(map(len, parts)) <= partitions


@given(left=st.lists(st.integers(), max_size=12), right=st.lists(st.integers(), max_size=12), n=counts, m=counts)
@slowly
def test_a_cartesian_product_has_all_pairs(left: list[int], right: list[int], n: int, m: int) -> None:
    product = inline(left, n).cartesian(inline(right, m), partitions=1)
    assert Counter(product.collect()) == Counter((a, b) for a in left for b in right)
    assert product.partition_count == n * m


@given(
    left=st.lists(st.integers(), max_size=12),
    right=st.lists(st.integers(), max_size=12),
    n=counts,
    m=counts,
    wanted=st.integers(1, 30),
)
@slowly
def test_a_cartesian_product_is_cut_into_ranges_of_one_size_and_keeps_its_order(
    left: list[int], right: list[int], n: int, m: int, wanted: int
) -> None:
    sides = inline(left, n), inline(right, m)
    whole = sides[0].cartesian(sides[1], partitions=1).glom().collect()
    cut = sides[0].cartesian(sides[1], partitions=wanted)
    pieces = -(-wanted // (n * m))
    parts = cut.glom().collect()
    assert len(parts) == cut.partition_count == n * m * pieces
    for number, part in enumerate(whole):
        of_part = parts[number * pieces : (number + 1) * pieces]
        assert [pair for piece in of_part for pair in piece] == part
        assert max(map(len, of_part)) - min(map(len, of_part)) <= 1


def test_a_cartesian_product_of_two_partitions_is_shared_by_all_workers() -> None:
    one = esker.of(range(50), partitions=1).with_options(workers=2)
    pids = one.cartesian(one).map(lambda pair: os.getpid()).distinct().collect()
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_a_few_pairs_of_a_product_are_there_at_once_however_long_a_side_is() -> None:
    made = esker.accumulator()

    def forever(n: int) -> Iterator[int]:
        for number in itertools.count(n):
            made.add(1)
            yield number

    endless = esker.of([5], partitions=1).flat_map(forever).with_options(workers=2, memory="64MiB")
    assert endless.cartesian(esker.of("ab", partitions=1)).take(3) == [(5, "a"), (5, "b"), (6, "a")]
    # What was looked at to see whether it ends, and then what was taken.
    assert made.value <= (1 << 20) + 10
    many = esker.range(100_000, partitions=1).with_options(workers=2)
    assert many.cartesian(many).take(10) == [(0, n) for n in range(10)]


def test_a_product_runs_each_side_once_where_it_is_cut() -> None:
    computed = esker.accumulator()
    one = esker.of(range(10), partitions=1).map(lambda n: computed.add(1) or n).with_options(workers=2)
    assert one.cartesian(esker.of(range(7), partitions=1)).count() == 70
    assert computed.value == 10


def _many(bag: Bag) -> list[Any]:
    return bag.map(lambda n: (n % 1000, "x" * (n % 50))).group_by_key().map_values(lambda g: sum(map(len, g))).collect()


def test_results_and_their_order_do_not_depend_on_memory_or_runtime() -> None:
    numbers = esker.range(60_000, partitions=4)
    expected = _many(numbers.with_options(runtime="inline"))
    assert len(expected) == 1000
    for options in ({"memory": "32MiB", "workers": 2}, {"workers": 1}, {"runtime": "threads"}):
        assert _many(numbers.with_options(**options)) == expected


def test_whole_numbers_lie_at_their_remainder_and_functions_place_keys() -> None:
    pairs = inline([(n, n) for n in range(8)])
    assert pairs.partition_by(4).keys().glom().collect() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert pairs.partition_by(2, lambda k: k // 4).keys().glom().collect() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    grouped_by = pairs.group_by_key(2, partition_function=lambda k: k // 4)
    assert grouped_by.keys().glom().collect() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_steps_follow_one_another() -> None:
    words = inline(["to", "be", "or", "not", "to", "be", "that", "is", "the", "question"])
    counted = words.map(lambda word: (word, 1)).reduce_by_key(operator.add)
    by_count = counted.map(lambda pair: (pair[1], pair[0])).group_by_key().map_values(sorted).sort_by_key(False)
    assert by_count.collect()[0] == (2, ["be", "to"])
    assert by_count.union(by_count).count() == 4


def test_what_a_plan_uses_twice_is_moved_once() -> None:
    computed = esker.accumulator()
    grouped_once = esker.range(10).map(lambda n: computed.add(1) or (n % 3, n)).reduce_by_key(operator.add)
    assert grouped_once.join(grouped_once).count() == 3
    assert computed.value == 10


def test_nothing_runs_before_it_is_asked_for() -> None:
    def explode(n: int) -> tuple[int, int]:
        raise RuntimeError("ran")

    pairs = esker.range(3).map(explode)
    for made in (pairs.group_by_key(), pairs.sort_by_key(), pairs.join(pairs), pairs.cartesian(pairs)):
        assert made.partition_count >= 1
    with pytest.raises(UserFunctionError, match="ran"):
        pairs.group_by_key().count()


@pytest.mark.parametrize(
    "use",
    [
        lambda bag, held: bag.reduce_by_key(lambda a, b: held.count()),
        lambda bag, held: bag.group_by_key(partition_function=lambda k: held.count()),
        lambda bag, held: bag.sort_by_key(key=lambda k: held.count()),
        lambda bag, held: bag.aggregate_by_key(0, operator.add, lambda a, b: held.count()),
    ],
)
def test_a_bag_inside_a_function_is_refused_where_it_is_handed_over(use: Callable[[Bag, Bag], Bag]) -> None:
    with pytest.raises(NestedCollectionError, match="held"):
        use(inline([(1, 2)]), inline([1]))


def test_wrong_calls_are_refused() -> None:
    pairs = inline([(1, 2)])
    for use in (lambda: pairs.group_by_key(0), lambda: pairs.repartition(0), lambda: pairs.reduce_by_key(3)):
        with pytest.raises(OptionError):
            use()
    with pytest.raises(InputError, match="no \\(key, value\\) pair"):
        inline([1, 2]).group_by_key().count()
    with pytest.raises(InputError, match="key"):
        inline([([1], 2)]).group_by_key().count()
