"""Worker processes: the same results, elements of any class, states of their own."""

from __future__ import annotations

import operator
import os

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import esker

plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5)
)
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=5)


@given(elements=st.lists(values), partitions=st.integers(1, 5))
@settings(max_examples=25)
def test_elements_come_back_as_they_went(elements: list[object], partitions: int) -> None:
    assert esker.of(elements, partitions).collect() == elements
    assert list(esker.of(elements, partitions).filter(lambda element: True)) == elements


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x


def test_classes_that_no_module_holds_come_back_as_themselves() -> None:
    class Local(Point):
        pass

    found = esker.of([Local(1), Local(2)]).map(lambda point: Local(point.x + 1)).collect()
    assert [type(point) for point in found] == [Local, Local]
    assert found == [Local(2), Local(3)]


def test_shared_and_circular_elements_survive() -> None:
    circular: list[object] = []
    circular.append(circular)
    shared = ["x"]
    found = esker.of([circular, shared, shared], partitions=1).collect()
    assert found[0][0] is found[0]
    assert found[1] is found[2]


def test_work_is_done_in_other_processes_and_they_are_kept() -> None:
    pids = set(esker.range(8, partitions=8).map(lambda n: os.getpid()).with_options(workers=2).collect())
    assert os.getpid() not in pids
    assert len(pids) <= 2
    again = set(esker.range(8, partitions=8).map(lambda n: os.getpid()).with_options(workers=2).collect())
    assert again & pids


def test_many_partitions_keep_their_order_whatever_the_timing() -> None:
    import time

    def slow(n: int) -> int:
        time.sleep(0.02 if n % 2 else 0)
        return n

    bag = esker.range(24, partitions=12).map(slow)
    assert bag.collect() == list(range(24))
    assert list(bag) == list(range(24))


def test_a_reader_within_a_reader_does_not_wait_for_ever() -> None:
    outer = esker.range(3000, partitions=3).map(lambda n: n)
    inner = esker.range(4, partitions=2)
    assert [n + inner.count() for n in outer] == list(range(4, 3004))


def test_generators_are_reproducible_and_no_two_partitions_draw_the_same() -> None:
    def draw(n: int) -> int:
        return int(esker.rng().integers(2**62))

    bag = esker.range(8, partitions=4).map(draw)
    drawn = bag.collect()
    assert (
        drawn == bag.collect() == bag.with_options(workers=1).collect() == bag.with_options(runtime="inline").collect()
    )
    assert len(set(drawn)) == 8
    assert drawn != bag.with_options(seed=1).collect()


@pytest.mark.parametrize("runtime", ["inline", "threads", "processes"])
def test_accumulators_add_up_once_for_each_partition(runtime: str) -> None:
    total = esker.accumulator()
    words = esker.accumulator([], operator.add)

    def look(n: int) -> int:
        nonlocal total
        total += n
        words.add([n])
        return n

    bag = esker.range(100, partitions=7).map(look).with_options(runtime=runtime)
    assert bag.count() == 100
    assert total.value == 4950
    assert words.value == list(range(100))
    bag.collect()
    assert total.value == 9900


def test_a_global_that_changes_between_two_runs_is_seen() -> None:
    space: dict[str, object] = {"__name__": "__main__"}
    exec("def greet(): return 'Hi'\ndef use(n): return greet()", space)
    bag = esker.of([1], partitions=1).map(space["use"])
    assert bag.collect() == ["Hi"]
    exec("def greet(): return 'Yeah'", space)
    assert bag.collect() == ["Yeah"]


def test_arrays_cross_both_ways() -> None:
    arrays = [np.arange(n * 10_000) for n in range(1, 4)]
    found = esker.of(arrays, partitions=2).map(lambda array: array * 2).collect()
    assert all(np.array_equal(one, two * 2) for one, two in zip(found, arrays, strict=True))


cloudpickle.register_pickle_by_value(__import__("sys").modules[__name__])
