"""par gives what plain Python gives, whatever the workers, the runtime and the chunks are."""

from __future__ import annotations

import functools
import itertools
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import esker
from esker import Par, par
from esker.errors import InputError, OptionError, UserFunctionError, WorkerLostError
from esker.parallel.chunks import chunk_items, numbered_combinations

NUMBERS = st.lists(st.integers(-9, 9), max_size=40)
HERE = st.sampled_from(["inline", "threads"])
CHUNK = st.one_of(st.none(), st.integers(1, 9))


def odd(number: int) -> bool:
    return number % 2 == 1


def pairs(number: int) -> list[int]:
    return [number] * (abs(number) % 3)


@given(NUMBERS, HERE, CHUNK, st.booleans())
def test_steps_and_ends_are_those_of_python(numbers: list[int], runtime: str, chunk: int | None, lazy: bool) -> None:
    def items() -> Par[int]:
        return par(iter(numbers) if lazy else numbers, 2, runtime=runtime, chunk=chunk)

    assert items().map(str).to_list() == [*map(str, numbers)]
    assert items().filter(odd).to_list() == [*filter(odd, numbers)]
    flat = [n for number in numbers for n in pairs(number)]
    assert items().flat_map(pairs).to_list() == flat
    assert items().flat_map(pairs).filter(odd).map(str).to_list() == [str(n) for n in flat if odd(n)]
    assert items().count() == len(numbers)
    assert items().sum() == sum(numbers)
    assert items().fold("", lambda text, n: f"{text}{n},", lambda a, b: a + b) == "".join(f"{n}," for n in numbers)
    add, merge = (lambda a, n: [*a, n]), (lambda a, b: a + b)
    assert items().aggregate([], add, merge) == numbers
    assert items().find(odd) == next(filter(odd, numbers), None)
    assert items().exists(odd) == any(map(odd, numbers))
    assert items().forall(odd) == all(map(odd, numbers))
    assert items().grouped(3).to_list() == [numbers[n : n + 3] for n in range(0, len(numbers), 3)]
    assert items().map(str).grouped(3).map("".join).to_list() == [
        "".join(map(str, numbers[n : n + 3])) for n in range(0, len(numbers), 3)
    ]
    if numbers:
        assert items().reduce(lambda a, b: a + b) == sum(numbers)
        assert items().min(key=abs) == min(numbers, key=abs)
        assert items().max(key=abs) == max(numbers, key=abs)
        assert items().mean() == sum(numbers) / len(numbers)


@given(st.lists(st.text(max_size=3), min_size=1, max_size=30), CHUNK)
def test_merging_keeps_the_order_of_the_items(texts: list[str], chunk: int | None) -> None:
    items = par(texts, 2, runtime="threads", chunk=chunk)
    assert items.reduce(lambda a, b: a + b) == items.fold("", lambda a, b: a + b) == "".join(texts)


@given(st.integers(0, 8), st.integers(0, 4), st.integers(1, 5))
def test_combinations_and_pairs_are_those_of_itertools(n: int, k: int, chunk: int) -> None:
    pool = "abcdefgh"[:n]
    items = par(pool, runtime="inline", chunk=chunk)
    assert items.combinations(k).to_list() == [*itertools.combinations(pool, k)]
    assert items.cartesian(range(k)).to_list() == [*itertools.product(pool, range(k))]


@given(st.integers(1, 30), st.integers(1, 5), st.data())
def test_any_span_of_combinations_can_be_made(n: int, k: int, data: Any) -> None:
    length = math.comb(n, k)
    begin = data.draw(st.integers(0, length))
    end = data.draw(st.integers(begin, min(length, begin + 20)))
    expected = [*itertools.islice(itertools.combinations(range(n), k), begin, end)]
    assert [*numbered_combinations(n, k, begin, end)] == expected


def test_processes_do_the_same_work_elsewhere() -> None:
    factor = 3
    ids = par(range(40), 2, chunk=1).map(lambda n: (os.getpid(), factor * n)).to_list()
    assert [value for _, value in ids] == [factor * n for n in range(40)]
    assert os.getpid() not in {pid for pid, _ in ids}
    assert par(range(100), 2).filter(odd).map(lambda n: n * n).sum() == sum(n * n for n in range(100) if odd(n))
    assert par(list("abcd"), 2).combinations(2).map("".join).to_list() == ["ab", "ac", "ad", "bc", "bd", "cd"]
    assert par(np.arange(1000), 2).map(float).sum() == 499_500
    assert par({3, 1, 2}, 2).max() == 3


def test_chunks_depend_on_the_number_of_items_alone() -> None:
    tenths = [0.1 * n for n in range(5000)]
    sums = {par(tenths, workers, runtime=runtime).sum() for workers in (1, 3) for runtime in ("inline", "threads")}
    assert len(sums) == 1
    assert [chunk_items(length, None) for length in (0, 1, 256, 257, 10**8)] == [1, 1, 1, 2, 4096]


def dice(n: int) -> tuple[int, int]:
    return n, int(esker.rng().integers(0, 1 << 30))


def test_random_numbers_belong_to_the_item_not_to_worker_or_chunk() -> None:
    expected = par(range(30), 1, runtime="inline", seed=7).map(dice).to_list()
    assert len({number for _, number in expected}) == 30
    for workers, runtime, chunk in ((2, "processes", 7), (3, "threads", 1), (1, "inline", 30)):
        assert par(range(30), workers, runtime=runtime, seed=7, chunk=chunk).map(dice).to_list() == expected
    assert par(iter(range(30)), 2, seed=7).map(dice).to_list() == expected
    assert par(range(30), runtime="inline", seed=8).map(dice).to_list() != expected


def test_a_par_within_a_par_runs_in_place_with_numbers_of_its_own() -> None:
    def inner(n: int) -> tuple[int, list[int]]:
        return os.getpid(), par(range(3), 4).map(lambda m: dice(m)[1]).to_list()

    found = par(range(4), 2, chunk=1).map(inner).to_list()
    assert len({tuple(numbers) for _, numbers in found}) == 4
    assert [numbers for _, numbers in par(range(4), runtime="inline").map(inner).to_list()] == [n for _, n in found]


def test_results_are_taken_one_after_the_other_and_work_goes_no_further_than_its_window() -> None:
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for number in itertools.count():
            read += 1
            yield number

    results = iter(par(items(), 2, runtime="threads", chunk=1).map(lambda n: n * n))
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert read <= 5 + 2 * 2
    results.close()  # type: ignore[attr-defined]


def test_results_that_are_done_early_wait_only_so_many() -> None:
    held = threading.Event()
    done = []

    def work(number: int) -> int:
        if number == 0:
            assert held.wait(timeout=60)
            time.sleep(0.2)  # for whatever would go on
        done.append(number)
        if len(done) == 2 * 16 - 1:
            held.set()  # that is as far as it goes
        return number

    assert par(range(500), 2, runtime="threads", chunk=1).map(work).to_list() == list(range(500))
    assert done.index(0) == 2 * 16 - 1


def test_unordered_results_all_come() -> None:
    found = par(range(100), 2, runtime="threads", ordered=False).map(lambda n: n + 1)
    assert sorted(found) == list(range(1, 101))


def inverse(number: int) -> float:
    return 1 / number


@pytest.mark.parametrize("runtime", ["inline", "threads", "processes"])
def test_the_first_failing_item_is_told_with_the_users_line_first(runtime: str) -> None:
    items = par([5, 4, 0, 3, 0], 2, runtime=runtime, chunk=1)
    with pytest.raises(UserFunctionError) as caught:
        items.map(inverse).to_list()
    first, second, last = str(caught.value).splitlines()
    assert first == "ZeroDivisionError: division by zero [ESK-603]"
    assert second.endswith("return 1 / number")
    assert last == "  in inverse, called by map on item 2: 0"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "run",
    [
        lambda items: items.filter(inverse).to_list(),
        lambda items: items.flat_map(inverse).to_list(),
        lambda items: items.flat_map(lambda n: (inverse(m) for m in (1, n))).to_list(),
        lambda items: items.foreach(inverse),
        lambda items: items.fold(0, lambda a, n: a + inverse(n)),
        lambda items: items.aggregate(0, lambda a, n: a + inverse(n), max),
        lambda items: items.reduce(lambda a, n: a + inverse(n)),
        lambda items: items.find(lambda n: inverse(n) < 0),
        lambda items: items.exists(lambda n: inverse(n) < 0),
        lambda items: items.forall(inverse),
        lambda items: items.min(key=inverse),
        lambda items: items.aggregate(0, lambda a, n: 0, lambda a, b: inverse(a)),
    ],
)
def test_every_verb_tells_of_failing_functions(run: Any) -> None:
    with pytest.raises(UserFunctionError, match="division by zero|not iterable"):
        run(par([1, 0, 1, 0], runtime="inline", chunk=2))


def test_stop_iteration_fails_and_cuts_nothing_off() -> None:
    for step in (lambda n: next(iter(())), lambda n: n):
        items = par(range(4), runtime="inline").map(step).flat_map(lambda n: (next(iter(())) for _ in range(1)))
        with pytest.raises(UserFunctionError, match="StopIteration"):
            items.to_list()


@pytest.mark.parametrize("runtime", ["inline", "processes"])
def test_a_function_that_exits_fails_and_does_not_end_the_caller(runtime: str) -> None:
    with pytest.raises(UserFunctionError, match=r"SystemExit: 3 \[ESK-603\]\n"):
        par([3], 1, runtime=runtime).map(sys.exit).to_list()
    with pytest.raises(UserFunctionError, match=r"SystemExit: 3 \[ESK-603\]\n"):
        esker.gather([functools.partial(sys.exit, 3)], runtime=runtime)


def test_a_worker_that_dies_is_told_with_the_item_it_died_of() -> None:
    with pytest.raises(WorkerLostError, match=r"exit status 3, twice \[ESK-602\]\n  in map, on item 6: 6"):
        par(range(9), 2, chunk=3).map(lambda n: os._exit(3) if n == 6 else n).to_list()
    assert par(range(9), 2).map(abs).sum() == 36


def test_what_cannot_be_pickled_is_named_before_anything_runs() -> None:
    lock = threading.Lock()
    with pytest.raises(InputError, match="cannot"):
        par(range(3), 2).map(lambda n: lock).to_list()


def test_zeros_are_copied() -> None:
    zero: list[int] = []
    items = par(range(10), 2, runtime="threads", chunk=2)
    assert items.aggregate(zero, lambda a, n: a.append(n) or a, lambda a, b: a + b) == list(range(10))
    assert zero == []
    assert par([], runtime="inline").fold(zero, lambda a, n: a) is not zero


def test_ends_of_nothing() -> None:
    nothing = par([], runtime="inline")
    assert (nothing.to_list(), nothing.count(), nothing.sum(), nothing.find(odd)) == ([], 0, 0, None)
    assert nothing.forall(odd)
    assert not nothing.exists(odd)
    for run in (lambda: nothing.reduce(max), nothing.min, nothing.max, nothing.mean):
        with pytest.raises(InputError, match="of no items"):
            run()


@pytest.mark.parametrize(
    "make",
    [
        lambda: par([1], 0),
        lambda: par([1], runtime="rays"),
        lambda: par([1], chunk=0),
        lambda: par(7),
        lambda: par([1]).grouped(0),
        lambda: par([1]).combinations(-1),
        lambda: par([1]).with_options(worker=2),
        lambda: par([1]).with_options(runtime="rays"),
    ],
)
def test_options_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(OptionError):
        make()


def test_options_can_be_changed() -> None:
    assert (
        par(range(5), 2).with_options(runtime="inline", workers=1).map(lambda n: os.getpid()).to_list()
        == [os.getpid()] * 5
    )


def test_partial_and_built_in_functions_go_to_processes() -> None:
    assert par([4, 9], 2).map(math.sqrt).map(functools.partial(pow, 2)).to_list() == [4.0, 8.0]
