"""Persisted elements, broadcast values, and estimated counts."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import esker
from esker.collection.bag.bag import Bag
from esker.errors import EskerError, OptionError, UserFunctionError

RUNTIMES = ["processes", "threads", "inline"]


def counting(partitions: int = 4) -> tuple[Bag, Any]:
    computed = esker.accumulator()
    return esker.range(40, partitions=partitions).map(lambda n: computed.add(1) or [n]), computed


@pytest.mark.parametrize("level", ["memory", "disk"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_is_kept_is_computed_once(level: str, runtime: str) -> None:
    bag, computed = counting()
    kept = bag.with_options(runtime=runtime).persist(level)
    assert kept.count() == kept.count() == 40
    assert kept.collect() == [[n] for n in range(40)]
    assert kept.map(len).sum() == 40
    assert computed.value == 40


def test_partitions_are_kept_as_they_are_computed() -> None:
    bag, computed = counting()
    kept = bag.persist()
    assert kept.take(3) == [[0], [1], [2]]
    taken = computed.value
    assert taken < 40
    assert kept.run(len_of, [1]) == [10]
    before = computed.value
    assert kept.run(len_of, [1]) == [10]
    assert computed.value == before


def len_of(elements: Any) -> int:
    return sum(1 for _ in elements)


def test_elements_that_a_reader_changes_are_kept_as_they_were() -> None:
    bag, _ = counting()
    kept = bag.with_options(runtime="inline").persist()

    def spoil(element: list[int]) -> int:
        element.append(-1)
        return len(element)

    assert set(kept.map(spoil).collect()) == {2}
    assert set(kept.map(spoil).collect()) == {2}


def test_a_shuffle_before_what_is_kept_runs_once() -> None:
    bag, computed = counting()
    kept = bag.map(lambda one: (one[0] % 3, one[0])).group_by_key().map_values(list).persist()
    assert dict(kept.collect()) == dict(kept.collect()) == {k: list(range(k, 40, 3)) for k in range(3)}
    assert computed.value == 40


def test_dropped_elements_are_computed_again_and_leave_no_file(tmp_path: Path) -> None:
    bag, computed = counting()
    kept = bag.with_options(spill_folder=tmp_path).persist("disk")
    after = kept.map(len)
    assert kept.count() == 40
    assert any(tmp_path.iterdir())
    assert kept.unpersist().count() == 40
    assert not any(path.is_dir() for path in tmp_path.iterdir())
    assert after.sum() == 40
    assert computed.value == 120


def test_files_go_with_the_last_bag_that_uses_them(tmp_path: Path) -> None:
    bag, _ = counting()
    kept = bag.with_options(spill_folder=tmp_path).persist("disk")
    assert kept.count() == 40
    del kept
    gc.collect()
    assert not any(path.is_dir() for path in tmp_path.iterdir())


def test_what_exceeds_its_share_of_memory_lies_on_disk(tmp_path: Path) -> None:
    large = esker.range(40, partitions=4).map(lambda n: bytes([n]) * 1_000_000)
    kept = large.with_options(memory="32MiB", spill_folder=tmp_path, workers=2).persist("memory")
    assert kept.count() == 40
    on_disk = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert 20_000_000 < on_disk <= 40_001_000
    assert kept.map(lambda data: data[0]).collect() == list(range(40))


def test_a_failure_keeps_nothing_of_its_partition() -> None:
    switch = esker.broadcast([1])

    def fail(n: int) -> int:
        if n == 7 and switch.value:
            raise RuntimeError("not yet")
        return n

    kept = esker.range(10, partitions=2).map(fail).persist()
    for _ in range(2):
        with pytest.raises(UserFunctionError, match="not yet"):
            kept.count()
    assert kept.run(len_of, [0]) == [5]


def test_unknown_levels_are_named() -> None:
    with pytest.raises(OptionError, match="memory, disk"):
        esker.range(3).persist("tape")


# Broadcast


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_broadcast_is_read_by_all_functions_until_it_is_released(runtime: str) -> None:
    names = esker.broadcast({n: str(n) for n in range(100)})
    bag = esker.range(100).map(lambda n: names.value[n]).with_options(runtime=runtime)
    assert bag.collect() == [str(n) for n in range(100)]
    names.release()
    with pytest.raises(EskerError, match="released"):
        bag.count()
    with pytest.raises(EskerError, match="released"):
        _ = names.value


def test_arrays_are_mapped_and_not_copied() -> None:
    array = np.arange(1_000_000)
    shared = esker.broadcast({"array": array})

    def look(n: int) -> tuple[int, bool, bool]:
        found = shared.value["array"]
        return int(found[n]), found.flags.owndata, found.flags.writeable

    assert set(esker.of([5, 5], 2).map(look).collect()) == {(5, False, False)}


def test_a_worker_keeps_a_broadcast_from_task_to_task() -> None:
    shared = esker.broadcast([1, 2])
    seen = esker.range(8, partitions=8).map(lambda _: (os.getpid(), id(shared.value))).with_options(workers=2)
    assert len(set(seen.collect())) <= 2


def test_a_broadcast_is_not_released_by_a_function() -> None:
    shared = esker.broadcast([1])
    with pytest.raises(EskerError, match="released where it was made"):
        esker.range(1).foreach(lambda _: shared.release())


# Estimated counts


@given(count=st.integers(0, 3000), partitions=st.integers(1, 4), kind=st.sampled_from([int, str, float]))
@settings(max_examples=20, deadline=None)
def test_different_elements_are_counted_within_five_standard_errors(count: int, partitions: int, kind: Any) -> None:
    elements = [kind(n) for n in range(count)] * 2
    found = esker.of(elements, partitions).with_options(runtime="inline").count_approx_distinct(0.02)
    assert abs(found - count) <= max(2, 5 * 0.02 * count)


def test_errors_that_cannot_be_reached_are_refused() -> None:
    for error in (0.0, 0.0001, 1.0):
        with pytest.raises(OptionError, match="relative_error"):
            esker.range(3).count_approx_distinct(error)
