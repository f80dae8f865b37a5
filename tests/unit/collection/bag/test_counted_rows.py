"""A run that is watched says how many elements each step gave, as plain Python counts them; others count nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import esker
from esker import Bag
from esker.core.event_log import read_events
from esker.core.event_schema import faults_of
from esker.engine.bag.counted import CountedPlan
from esker.errors import UserFunctionError

Steps = dict[str, tuple[Callable[[Bag], Bag], Callable[[list[Any]], list[Any]]]]


def flat(pairs: list[Any]) -> list[Any]:
    return [part for pair in pairs for part in pair]


# What a step does to a Bag of whole numbers, and to a list of them.
STEPS: Steps = {
    "map": (lambda bag: bag.map(lambda n: n + 1), lambda found: [n + 1 for n in found]),
    "filter": (lambda bag: bag.filter(lambda n: n % 3), lambda found: [n for n in found if n % 3]),
    "flat_map": (lambda bag: bag.flat_map(lambda n: [n] * (n % 3)), lambda found: flat([[n] * (n % 3) for n in found])),
    "map_partitions": (lambda bag: bag.map_partitions(lambda all_: all_), lambda found: found),
    "zip_with_index": (lambda bag: bag.zip_with_index().keys(), lambda found: found),
    "coalesce": (lambda bag: bag.coalesce(2), lambda found: found),
    "repartition": (lambda bag: bag.repartition(2), lambda found: found),
    "distinct": (lambda bag: bag.distinct(), lambda found: list(dict.fromkeys(found))),
    "sort_by": (lambda bag: bag.sort_by(lambda n: -n), lambda found: sorted(found, reverse=True)),
    "union": (lambda bag: bag.union(bag), lambda found: found + found),
}


# A step of a plan: its name, its elements, what it is made of.
Tree = tuple[str, int | None, list[Any]]
WIDE = {"repartition", "distinct", "sort_by"}


def added(name: str, tree: Tree, before: int, after: int) -> Tree:
    """The plan with one step more, as it is drawn."""
    if name == "union":
        return name, after, [tree, again(tree)]
    if name == "zip_with_index":
        return "keys", before, [(name, before, [tree])]
    if name == "distinct":
        return name, after, [("map", before, [tree])]
    if name == "sort_by":
        return name, after, [(name, before, [tree])]
    return name, after, [tree]


def again(tree: Tree) -> Tree:
    """What a second reader has of it: it is computed once more, but for what lies before a shuffle."""
    name, rows, below = tree
    return name, rows, [unread(one) if name in WIDE else again(one) for one in below]


def unread(tree: Tree) -> Tree:
    return tree[0], None, [unread(one) for one in tree[2]]


def flattened(tree: Tree) -> Iterator[tuple[str, int | None]]:
    yield tree[0], tree[1]
    for below in tree[2]:
        yield from flattened(below)


def rows_of(plan: dict[str, Any]) -> Iterator[tuple[str, int | None]]:
    yield plan["operator"], plan["rows"]
    for below in plan["inputs"]:
        yield from rows_of(below)


def planned(log: Path) -> dict[str, Any]:
    events = read_events(log)
    assert [fault for event in events for fault in faults_of(event)] == []
    assert events[-1]["event"] == "query_done"
    plan: dict[str, Any] = events[-1]["plan"]
    return plan


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=5), st.lists(st.integers(0, 50), max_size=40))
@settings(max_examples=60, deadline=None)
def test_each_step_s_count_is_that_of_plain_python(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], numbers: list[int]
) -> None:
    log = tmp_path_factory.mktemp("log") / "bag.jsonl"
    bag = esker.of(numbers, partitions=3).with_options(runtime="inline", log=log)
    tree: Tree = ("of", len(numbers), [])
    found = list(numbers)
    for name in names:
        step, oracle = STEPS[name]
        bag, before, found = step(bag), len(found), oracle(found)
        tree = added(name, tree, before, len(found))
    assert sorted(bag.collect()) == sorted(found)
    assert list(rows_of(planned(log))) == list(flattened(tree))


def test_workers_in_other_processes_count_too_and_the_last_word_says_done(tmp_path: Path) -> None:
    log = tmp_path / "bag.jsonl"
    words = esker.of(["to be or not", "to be"] * 50).with_options(log=log, workers=2)
    words.flat_map(str.split).map(lambda word: (word, 1)).reduce_by_key(lambda a, b: a + b).count()
    plan = list(rows_of(planned(log)))
    assert plan == [("reduce_by_key", 4), ("map", 300), ("flat_map", 300), ("of", 100)]
    last = {event["step"]: event for event in read_events(log) if event["event"] == "operator"}
    assert [(last[step]["operator"], last[step]["rows"], last[step]["done"]) for step in sorted(last)] == [
        (name, rows, True) for name, rows in plan
    ]


def test_elements_that_are_iterated_are_counted(tmp_path: Path) -> None:
    bag = esker.range(10).filter(lambda n: n > 3).with_options(runtime="threads", log=tmp_path / "bag.jsonl")
    assert sum(1 for _ in bag) == 6
    assert list(rows_of(planned(tmp_path / "bag.jsonl"))) == [("filter", 6), ("range", 10)]


def test_a_partition_that_is_left_early_is_not_told_as_done(tmp_path: Path) -> None:
    bag = esker.range(1000, partitions=1).map(str).with_options(runtime="inline", log=tmp_path / "bag.jsonl")
    assert bag.take(3) == ["0", "1", "2"]
    told = [event for event in read_events(tmp_path / "bag.jsonl") if event["event"] == "operator"]
    assert told and not any(event["done"] for event in told)
    assert told[-1]["rows"] < 1000


def dies_once(mark: Path) -> Callable[[int], int]:
    def function(n: int) -> int:
        if n == 7 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    return function


def test_what_was_tried_in_vain_is_not_counted(tmp_path: Path) -> None:
    log = tmp_path / "bag.jsonl"
    bag = esker.range(20, partitions=2).map(dies_once(tmp_path / "mark")).with_options(log=log, workers=2)
    assert bag.count() == 20
    assert (tmp_path / "mark").exists()
    assert list(rows_of(planned(log))) == [("map", 20), ("range", 20)]


def test_an_error_names_its_element_whether_it_is_watched_or_not(tmp_path: Path) -> None:
    said = []
    for options in ({}, {"log": tmp_path / "bag.jsonl"}):
        bag = esker.of(["3", "free"], partitions=1).filter(len).map(int).with_options(runtime="inline", **options)
        with pytest.raises(UserFunctionError) as raised:
            bag.collect()
        said.append(str(raised.value).splitlines()[-1])
    assert said[0] == said[1] and "element 'free'" in said[0]


def test_nothing_is_counted_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a plan was made to be counted")

    monkeypatch.setattr(CountedPlan, "__init__", refuse)
    assert esker.range(10).with_options(runtime="inline").map(str).count() == 10


def test_explain_and_notebooks_show_the_last_run_that_was_watched(tmp_path: Path) -> None:
    bag = esker.range(5000).filter(lambda n: n % 2).with_options(runtime="inline")
    assert " rows\n" not in bag.explain() and "Nothing was run" in bag._repr_html_()
    bag.with_options(log=tmp_path / "bag.jsonl").count()
    assert "2,500 rows\n" in bag.explain()
    shown = bag._repr_html_()
    assert "2,500" in shown and "Nothing was run" not in shown
