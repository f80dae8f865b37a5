from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.expression import bind, parse
from esker.join.decide import decide
from esker.join.input import JoinInput
from esker.join.join_index import JoinIndex
from esker.join.layout import plan_layout
from esker.join.problem import JoinProblem
from esker.testing.stores import CountingStore


def problem_of(left: JoinInput, right: JoinInput, on: list[tuple[str, str]], how: str = "inner") -> JoinProblem:
    return JoinProblem.of(left, right, plan_layout(left.store.schema, right.store.schema, on, how, "_right"))


def pairs_of(index: JoinIndex) -> list[tuple[int, int]]:
    batches = index.by_left(7)
    return [pair for batch in batches for pair in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


def test_pairs_are_sorted_row_ids_of_both_sides() -> None:
    left = JoinInput(CountingStore(pa.table({"k": [3, 1, None, 2, 1]}), batch_rows=2), None, ("k",))
    right = JoinInput(CountingStore(pa.table({"k": [1, 1, 3, None]}), batch_rows=3), None, ("k",))
    with QueryContext() as context:
        index = decide(problem_of(left, right, [("k", "k")]), context)
        assert pairs_of(index) == [(0, 2), (1, 0), (1, 1), (4, 0), (4, 1)]
        assert index.pair_count == 5
        assert (index.left_rows, index.left_matched) == (RowSet.range(0, 5), RowSet.of([0, 1, 4]))
        assert (index.right_rows, index.right_matched) == (RowSet.range(0, 4), RowSet.of([0, 1, 2]))
        index.validate()
        turned = [batch.to_pylist() for batch in index.by_right(10, context, 1 << 20)]
        assert [(row["right"], row["left"]) for row in turned[0]] == [(0, 1), (0, 4), (1, 1), (1, 4), (2, 0)]
        index.close()
        assert context.budget.held_bytes == 0


def test_only_keys_and_filtered_columns_are_read_and_filters_come_first() -> None:
    table = pa.table({"k": [1, 2, 3], "f": [1, 0, 1], "payload": ["a", "b", "c"]})
    store = CountingStore(table, ["k"])
    left = JoinInput(store, None, ("payload",), bind(parse("f = 1"), table.schema))
    right = JoinInput(CountingStore(table), RowSet.of([1, 2]), ("payload",))
    with QueryContext() as context:
        index = decide(problem_of(left, right, [("k", "k")]), context)
        assert store.scanned == [("k", "f")]
        assert index.left_rows == RowSet.of([0, 2])
        assert pairs_of(index) == [(2, 2)]
        index.close()


def test_semi_joins_count_pairs_without_keeping_them() -> None:
    table = pa.table({"k": [1, 1, 2]})
    side = JoinInput(CountingStore(table), None, ("k",))
    with QueryContext() as context:
        index = decide(problem_of(side, side, [("k", "k")], "semi"), context)
        assert index.pair_count == 5
        assert pairs_of(index) == []
        assert index.left_matched == RowSet.range(0, 3)
        index.validate()
        index.close()


def sides_equal(keys: list[pa.Array], left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> bool:
    return bool(keys[0].take(pa.array(left)).equals(keys[1].take(pa.array(right))))


@pytest.mark.parametrize("text", [False, True])
def test_keys_that_outgrow_their_share_give_the_same_pairs_spilled(text: bool) -> None:
    rows = 150_000
    random = np.random.default_rng(5)
    keys = [pa.array(random.integers(0, rows, rows)) for _ in range(2)]
    if text:
        keys = [pa.array(np.char.mod("a key of some length %d", column.to_numpy())) for column in keys]
    sides = [JoinInput(CountingStore(pa.table({"k": key}), batch_rows=20_000), None, ("k",)) for key in keys]
    found, events = {}, []
    for memory in ("16MiB", "1GiB"):
        seen: list[Any] = []
        with QueryContext(budget=MemoryBudget(memory)) as context:
            context.log.listen(seen.append)
            index = decide(problem_of(sides[0], sides[1], [("k", "k")]), context)
            found[memory] = pa.Table.from_batches(index.by_left(50_000)), index.left_matched, index.right_matched
            index.close()
            assert context.budget.peak_bytes <= context.budget.total_bytes
        events.append([event["event"] for event in seen if event["event"] != "join_filtered"])
    spilled = ["join_spilled"] if text else []
    assert events == [["join_divided", *spilled, "join_index"], ["join_index"]]
    assert found["16MiB"] == found["1GiB"]
    left, right = (found["16MiB"][0][name].to_numpy() for name in ("left", "right"))
    assert np.array_equal(np.lexsort((right, left)), np.arange(len(left)))
    assert sides_equal(keys, left, right)


def test_a_fan_out_larger_than_its_share_is_spilled_and_read_in_order() -> None:
    side = JoinInput(CountingStore(pa.table({"k": np.zeros(600, np.int64)})), None, ("k",))
    with QueryContext(budget=MemoryBudget("16MiB")) as context:
        index = decide(problem_of(side, side, [("k", "k")]), context)
        assert index.pair_count == 360_000
        assert index.spilled_bytes >= 360_000 * 16 // 2
        pairs = pa.Table.from_batches(index.by_left(10_000))
        assert pairs["left"].to_numpy().tolist() == np.repeat(np.arange(600), 600).tolist()
        assert pairs["right"].to_numpy().tolist() == np.tile(np.arange(600), 600).tolist()
        index.close()
