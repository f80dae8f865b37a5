from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.errors import CostLimitError, OptionError
from esker.join import JoinInput, JoinPlan, plan_join
from esker.testing.stores import VALUE_BYTES, CountingStore

ROWS = 10_000


def cold(keys: Any, name: str, **options: Any) -> JoinInput:
    table = pa.table({"k": keys, name: np.arange(len(keys)), f"{name}2": np.arange(len(keys))})
    return JoinInput(CountingStore(table, ["k"], **options), None, ("k", name, f"{name}2"))


def plan(left: JoinInput, right: JoinInput, context: QueryContext, how: str = "inner", **options: Any) -> JoinPlan:
    return plan_join(left, right, [("k", "k")], how, context=context, **options)


def test_few_clustered_matches_are_fetched_and_the_plan_says_so() -> None:
    left, right = cold(np.arange(ROWS), "l"), cold(np.arange(500, 600), "r")
    with QueryContext() as context:
        found = plan(left, right, context)
        assert found.choice == "asj"
        assert found.join_index_rows == 100
        assert "fetching pays: 1.0% of the left rows match" in found.reason
        assert "2.0 KiB, 1 requests" in found.reason
        estimate = found.estimates["asj"].cost
        assert estimate.bytes == (100 + 100) * 2 * VALUE_BYTES
        assert sum(batch.num_rows for batch in found.run(context)) == 100
        assert found.actual == estimate


def test_matches_everywhere_make_it_scan_and_the_plan_says_why() -> None:
    left, right = cold(np.arange(ROWS) % 100, "l"), cold(np.arange(98), "r")
    with QueryContext() as context:
        found = plan(left, right, context)
        assert "a scan is cheaper: 98.0% of the left rows match, so fetching would read" in found.reason
        assert sum(batch.num_rows for batch in found.run(context)) == ROWS * 98 // 100
    assert isinstance(left.store, CountingStore)
    assert not left.store.fetched


def test_the_estimates_of_all_are_there_and_as_json() -> None:
    with QueryContext() as context:
        found = plan(cold(np.arange(10), "l"), cold(np.arange(5), "r"), context)
        assert list(found.estimates) == ["asj", "cdt_gh", "ctt_gh", "hash", "in_memory", "nested_loop", "sort_merge"]
        shown = json.loads(json.dumps(found.to_json()))
        assert shown["choice"] == found.choice
        assert shown["join_index_rows"] == 5
        assert shown["actual"] is None
        list(found.run(context))
        assert found.to_json()["actual"] is not None


def test_near_payload_is_not_decided_ahead_when_there_is_nothing_to_gain() -> None:
    table = pa.table({"k": [1, 2], "v": [1, 2]})
    stores = CountingStore(table, ["k", "v"]), CountingStore(table, ["k", "v"])
    with QueryContext() as context:
        found = plan(*(JoinInput(store, None, ("k", "v")) for store in stores), context)
        assert found.join_index_rows is None
        assert found.choice == "in_memory"
        assert "keys first would cost" in found.reason
    assert not any(store.scanned or store.fetched for store in stores)


def test_a_build_side_above_the_budget_leaves_hash() -> None:
    rows = 400_000
    table = pa.table({"k": np.zeros(rows, np.int64), "v": np.zeros(rows)})
    inputs = [JoinInput(CountingStore(table, [], rate=1e12, request_seconds=0), None, ("k", "v")) for _ in range(2)]
    with QueryContext(budget=MemoryBudget("16MiB")) as context:
        found = plan(*inputs, context, algorithm="hash")
        assert not found.estimates["in_memory"].supported
        with pytest.raises(OptionError, match="cannot do this join: loading the right side takes about"):
            plan(*inputs, context, algorithm="in_memory")


def test_columns_that_pages_do_not_hold_rule_hash_out_by_name() -> None:
    table = pa.table({"k": [1], "wide": pa.nulls(1, pa.binary(2 << 20))})
    inputs = [JoinInput(CountingStore(table), None, ("k", "wide")) for _ in range(2)]
    with QueryContext() as context:
        with pytest.raises(OptionError, match="column 'wide' is .*, which a page does not hold"):
            plan(*inputs, context, algorithm="hash")
        assert plan(*inputs, context).choice != "hash"


def test_an_unknown_algorithm_is_refused_before_anything_is_read() -> None:
    left = cold(np.arange(3), "l")
    with QueryContext() as context, pytest.raises(OptionError, match="no join algorithm 'magic'; there is: asj"):
        plan(left, left, context, algorithm="magic")
    assert isinstance(left.store, CountingStore)
    assert not left.store.scanned


def test_a_cost_limit_stops_the_join_before_payload_is_read() -> None:
    left, right = cold(np.arange(ROWS), "l"), cold(np.arange(ROWS), "r")
    with QueryContext(max_cost={"bytes": 1000}) as context:
        found = plan(left, right, context)
        with pytest.raises(CostLimitError, match="the join would cost"):
            next(found.run(context))
    assert isinstance(left.store, CountingStore)
    assert left.store.counted.bytes == 0


def test_events_tell_of_plan_index_and_costs() -> None:
    seen: list[Any] = []
    with QueryContext() as context:
        context.log.listen(seen.append)
        list(plan(cold(np.arange(10), "l"), cold(np.arange(5), "r"), context).run(context))
    events = {event["event"]: event for event in seen}
    assert [name for name in events if name != "join_filtered"] == ["join_index", "join_planned", "join_done"]
    assert events["join_index"]["pairs"] == 5
    assert events["join_done"]["rows"] == 5
    assert events["join_done"]["estimated"] == events["join_done"]["actual"]


def test_a_plan_that_is_never_run_frees_its_index_with_the_query() -> None:
    with QueryContext() as context:
        plan(cold(np.arange(1000), "l"), cold(np.arange(1000), "r"), context)
        assert context.budget.held_bytes > 0
    assert context.budget.held_bytes == 0


def test_an_index_that_is_not_used_is_freed_before_the_run() -> None:
    left, right = (cold(np.arange(1000), name, rate=1e12, request_seconds=0) for name in "lr")
    with QueryContext() as context:
        found = plan(left, right, context)
        assert found.join_index_rows == 1000
        found.choice = "hash"
        rows = found.run(context)
        next(rows)
        assert found.problem.index is None
        assert "join index" not in context.budget.holders()
        assert sum(batch.num_rows for batch in rows) < 1000
        assert found.join_index_rows == 1000


def test_a_plan_runs_again_with_the_same_rows() -> None:
    with QueryContext() as context:
        found = plan(cold(np.arange(50), "l"), cold(np.arange(50), "r"), context)
        first, second = (pa.Table.from_batches(found.run(context), found.schema) for _ in range(2))
        assert first.equals(second)
        assert first.num_rows == 50
