"""Functions that wide steps call, failing on either side of the shuffle: the user's line first, then step and key."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import pytest

import esker
from esker.collection.bag.bag import Bag
from esker.errors import UserFunctionError

cloudpickle.register_pickle_by_value(sys.modules[__name__])

# Two partitions with a pair of each key in each: values meet on the reduce side only.
APART = [("a", 1), ("b", 0), ("b", 0), ("a", 2)]
# One partition: values meet on the map side.
TOGETHER = [("a", 1), ("a", 2), ("b", 0), ("b", 0)]


def divided(left: float, right: float) -> float:
    return left / right


def failed(bag: Bag, runtime: str = "inline", action: Callable[[Bag], Any] = Bag.collect) -> list[str]:
    with pytest.raises(UserFunctionError) as caught:
        action(bag.with_options(runtime=runtime))
    return caught.value.message.splitlines()


@pytest.mark.parametrize("runtime", ["inline", "threads", "processes"])
@pytest.mark.parametrize("pairs", [APART, TOGETHER], ids=["reduce side", "map side"])
def test_a_failing_reduction_is_told_by_its_line_its_step_and_its_key(pairs: list[Any], runtime: str) -> None:
    bag = esker.of(pairs, partitions=2 if pairs is APART else 1).reduce_by_key(divided, partitions=2)
    lines = failed(bag.map(str).filter(bool), runtime)
    assert lines[0] == "ZeroDivisionError: division by zero"
    assert lines[1].endswith("in divided: return left / right")
    assert lines[-1].startswith("  in reduce_by_key(divided) at ")
    assert lines[-1].endswith(", key 'b'")
    assert "test_wide_errors.py" in lines[-1]


@pytest.mark.parametrize("action", [Bag.count, list, lambda bag: bag.take(5), lambda bag: bag.sort_by(str).collect()])
def test_the_step_is_named_whatever_reads_its_results(action: Callable[[Bag], Any]) -> None:
    bag = esker.of(APART, partitions=2).reduce_by_key(divided).map_values(str)
    assert "in reduce_by_key(divided) at " in failed(bag, action=action)[-1]


def test_a_table_that_is_fed_tells_its_functions_from_the_generator_that_feeds_it() -> None:
    def pairs(n: int) -> Iterator[tuple[str, float]]:
        yield "k", n
        yield "k", 10 // n

    def added(left: float, right: float) -> float:
        if left == 5:
            raise ValueError("five")
        return left + right

    fed = esker.of([5, 0], partitions=1).flat_map(pairs).reduce_by_key(added)
    lines = failed(fed)
    assert (lines[0], lines[-1].endswith(", key 'k'")) == ("ValueError: five", True)
    assert "in reduce_by_key(added) at " in lines[-1]
    lines = failed(esker.of([7, 0], partitions=1).flat_map(pairs).reduce_by_key(added))
    assert lines[0].startswith("ZeroDivisionError")
    assert "in flat_map(pairs) at " in lines[-1]
    assert lines[-1].endswith("element 0")


def joined(text: str, n: int) -> str:
    return text + str(1 // n)


def merged(left: str, right: str) -> str:
    raise ValueError("no merging")


@pytest.mark.parametrize(
    ("made", "first", "step"),
    [
        (lambda bag: bag.aggregate_by_key("", joined, merged), "ZeroDivisionError", "aggregate_by_key(joined, merged)"),
        (lambda bag: bag.fold_by_key(1, divided), "ZeroDivisionError", "fold_by_key(divided)"),
        (lambda bag: bag.combine_by_key(len, joined, merged), "TypeError", "combine_by_key(len, joined, merged)"),
        (lambda bag: bag.filter(lambda pair: pair[1]).aggregate_by_key("", joined, merged), "ValueError: no", "merged"),
        (lambda bag: bag.partition_by(2, lambda key: 1 // len(key[1:])), "ZeroDivisionError", "partition_by(<lambda>)"),
        (lambda bag: bag.sort_by_key(key=lambda key: key.no), "AttributeError", "sort_by_key(<lambda>)"),
        (lambda bag: bag.sort_by(lambda pair: 1 / pair[1]), "ZeroDivisionError", "sort_by(<lambda>)"),
        (lambda bag: bag.group_by(lambda pair: 1 / pair[1]), "ZeroDivisionError", "group_by(<lambda>)"),
        (lambda bag: bag.values().map(lambda n: n or "x").sort_by(abs, partitions=1), "TypeError", "sort_by(abs)"),
        (
            lambda bag: bag.repartition_and_sort_within_partitions(1, key=int),
            "ValueError",
            "sort_within_partitions(int)",
        ),
    ],
)
def test_each_wide_step_is_named(made: Callable[[Bag], Bag], first: str, step: str) -> None:
    lines = failed(made(esker.of(APART, partitions=2)))
    assert lines[0].startswith(first)
    assert step in lines[-1]


def test_a_comparison_that_fails_names_the_sort() -> None:
    bag = esker.of([1, "x"], partitions=2).sort_by(lambda n: n, partitions=1)
    assert "in sort_by at " in failed(bag)[-1]


def test_stop_iteration_in_a_reduction_is_an_error_and_not_an_end() -> None:
    def stops(left: int, right: int) -> int:
        raise StopIteration

    lines = failed(esker.of(APART, partitions=2).reduce_by_key(stops))
    assert lines[0].startswith("StopIteration")
    assert "in reduce_by_key(stops) at " in lines[-1]


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_reduction_that_was_spilled_names_its_step_too(partitions: int) -> None:
    def added(left: str, right: str) -> str:
        if len(left) + len(right) > 1500 and "7777" in left:
            raise ValueError("seven")
        return left + right

    pairs = [(n % 20_000, f"{n % 20_000}" * 200) for n in range(40_000)]
    bag = esker.of(pairs, partitions=partitions).with_options(memory="24MiB", workers=1).reduce_by_key(added)
    lines = failed(bag, action=Bag.count)
    assert lines[0] == "ValueError: seven"
    assert lines[-1].endswith("key 17777") or lines[-1].endswith("key 7777")


def test_the_error_keeps_its_cause() -> None:
    with pytest.raises(UserFunctionError) as caught:
        esker.of(APART, partitions=2).reduce_by_key(divided).collect()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
