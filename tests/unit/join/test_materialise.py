from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.join import JOIN_KINDS, JoinInput, plan_join
from esker.testing.stores import CountingStore

ROWS = 20_000


def tables(copies: int) -> tuple[pa.Table, pa.Table]:
    """A left side of which the middle tenth matches, `copies` times each."""
    left = pa.table({"k": np.arange(ROWS), "l": np.arange(ROWS)})
    keys = np.repeat(np.arange(ROWS * 2 // 5, ROWS // 2), copies)
    order = np.random.default_rng(2).permutation(len(keys))
    return left, pa.table({"k": keys[order], "r": np.arange(len(keys)), "text": ["t" * 4000] * len(keys)})


def stores(copies: int = 1) -> tuple[CountingStore, CountingStore]:
    left, right = tables(copies)
    return CountingStore(left, ["k"], request_seconds=0), CountingStore(right, ["k"], request_seconds=0)


def join(left: CountingStore, right: CountingStore, how: str, memory: str, rows: RowSet | None = None) -> pa.Table:
    with QueryContext(budget=MemoryBudget(memory)) as context:
        inputs = JoinInput(left, rows, ("k", "l")), JoinInput(right, None, ("r", "text"))
        plan = plan_join(*inputs, [("k", "k")], how, algorithm="asj", context=context)
        table = pa.Table.from_batches(plan.run(context), plan.schema)
        assert plan.actual is not None
        assert plan.actual == left.counted + right.counted
        assert context.budget.held_bytes == 0
        assert context.budget.peak_bytes <= context.budget.total_bytes
    return table


@pytest.mark.parametrize("how", JOIN_KINDS)
def test_keys_are_read_first_and_each_payload_row_at_most_once(how: str) -> None:
    left, right = stores()
    join(left, right, how, "1GiB")
    assert left.scanned[0] == ("k",)
    assert right.scanned[0] == ("k",)
    for store in (left, right):
        payload = [*store.scanned[1:]] + [columns for columns, _ in store.fetched]
        assert len(payload) <= 1, "payload was read twice"
    if how in ("semi", "anti"):
        assert not right.fetched
        assert len(right.scanned) == 1
    if how in ("inner", "semi"):
        assert left.fetched == [(("k", "l"), RowSet.range(ROWS * 2 // 5, ROWS // 2))]


@pytest.mark.parametrize("copies", [1, 6])
@pytest.mark.parametrize("how", ["inner", "right", "full"])
def test_rows_that_do_not_fit_are_spilled_and_merged_in_the_same_order(how: str, copies: int) -> None:
    # Copies of the left rows: each right row then has many partners, and is kept once instead of once a pair.
    left, right = stores()
    many = pa.concat_tables([tables(1)[0]] * copies)
    left = CountingStore(many, ["k"], request_seconds=0)
    found = None if how == "full" else RowSet.range(ROWS * 9 // 20, left.row_count)
    small = join(left, right, how, "16MiB", found)
    assert right.fetched_rows() + sum(right.row_count for columns in right.scanned if "text" in columns) <= 2000
    left, right = CountingStore(many, ["k"], request_seconds=0), stores()[1]
    large = join(left, right, how, "1GiB", found)
    assert small.equals(large)


def test_a_side_whose_columns_nobody_wants_is_not_read() -> None:
    left, right = stores(2)
    with QueryContext() as context:
        inputs = JoinInput(left, None, ("l",)), JoinInput(right, None, ())
        plan = plan_join(*inputs, [("k", "k")], "inner", algorithm="asj", context=context)
        table = pa.Table.from_batches(plan.run(context), plan.schema)
    assert table["l"].to_pylist() == sorted([*range(ROWS * 2 // 5, ROWS // 2)] * 2)
    assert right.scanned == [("k",)]
    assert not right.fetched


def test_output_batches_stay_small_however_wide_rows_are() -> None:
    left = CountingStore(pa.table({"k": np.arange(200), "text": ["x" * 50_000] * 200}), ["k"])
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        inputs = JoinInput(left, None, ("k", "text")), JoinInput(left, None, ("k",))
        plan = plan_join(*inputs, [("k", "k")], "inner", algorithm="asj", context=context)
        sizes = [batch.nbytes for batch in plan.run(context)]
    assert max(sizes) <= 1 << 20
    assert len(sizes) >= 10
