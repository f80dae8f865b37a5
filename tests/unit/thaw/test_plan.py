"""Plans: exact prices, and the choice between fetching and scanning."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.core.cost import Cost
from esker.core.row_set import RowSet
from esker.errors import CostLimitError, OptionError, UnknownColumnError
from esker.storage import ReadRequest, Tier, open_tier
from esker.storage.tiers.memory import MemoryTier
from esker.thaw import PayloadExtent, ThawPlan, plan_thaw, run
from tests.unit.thaw.tools import memory_tier, small_context, stored, wide_table

TABLE = wide_table(400)


def planned(tier: Tier, rows: RowSet, columns: list[str], **options: int) -> tuple[ThawPlan, list[PayloadExtent]]:
    extents = stored(TABLE, tier, extent_rows=100, group_rows=25)
    return plan_thaw(extents, tier, rows, columns, schema=TABLE.schema, **options), extents


def test_planning_reads_nothing() -> None:
    tier = memory_tier()
    extents = stored(TABLE, tier, extent_rows=100, group_rows=25)
    before = tier.counted
    plan_thaw(extents, tier, RowSet.of([1, 399]), ["text"], schema=TABLE.schema)
    assert tier.counted == before


@settings(max_examples=40)
@given(
    wanted=st.lists(st.integers(0, 399), max_size=12),
    columns=st.lists(st.sampled_from(TABLE.schema.names), min_size=1, unique=True),
    read_ahead=st.sampled_from([1, 2000, 1 << 20]),
    kind=st.sampled_from(["memory", "disk", "hdd", "tape"]),
)
def test_what_a_plan_says_is_what_the_tier_counts(
    wanted: list[int], columns: list[str], read_ahead: int, kind: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tier = open_tier(
            {
                "memory": "memory:" + folder,
                "disk": f"disk:{folder}",
                "hdd": f"disk:{folder}?device=hdd",
                "tape": f"tape:{folder}?device=lto9-hh&cartridge=16KiB",
            }[kind]
        )
        plan, _ = planned(tier, RowSet.of(wanted), columns, read_ahead_bytes=read_ahead)
        before = tier.counted
        with small_context() as context:
            for _ in run(plan, context):
                pass
        counted = tier.counted.since(before)
        assert (counted.bytes, counted.requests) == (plan.cost.bytes, plan.cost.requests)
        if kind == "tape":
            assert counted.mounts == plan.cost.mounts
            assert counted.seconds == pytest.approx(plan.cost.seconds)
        assert plan.fetch.bytes <= plan.scan.bytes <= plan.full.bytes
        assert len(plan.requests) == plan.cost.requests


def test_few_rows_are_fetched_from_their_row_groups_alone() -> None:
    plan, extents = planned(memory_tier(), RowSet.of([30, 31, 399]), ["text"])
    assert plan.choice == "fetch"
    assert plan.touched == {extents[0].extent.key: [1], extents[3].extent.key: [3]}
    assert plan.fetch.bytes < plan.scan.bytes / 4
    assert "2 of 16 row groups" in plan.reason


def test_rows_everywhere_are_scanned() -> None:
    plan, _ = planned(memory_tier(), RowSet.of(range(0, 400, 25)), ["text"])
    assert plan.choice == "scan"
    assert plan.fetch == plan.scan == plan.cost
    assert "each of the 16 row groups" in plan.reason


def test_no_rows_cost_nothing() -> None:
    plan, _ = planned(memory_tier(), RowSet.empty(), ["text"])
    assert (plan.choice, plan.cost, plan.windows) == ("fetch", Cost(), [])
    assert "nothing is read" in plan.reason


class DearFetch(MemoryTier):
    """A tier on which anything less than a whole window takes long."""

    def estimate(self, requests: Iterable[ReadRequest]) -> Cost:
        asked = [*requests]
        size = sum(request.range.length for request in asked)
        return Cost(bytes=size, requests=len(asked), seconds=1e9 / max(size, 1))


def test_a_scan_is_chosen_where_fetching_would_lose() -> None:
    plan, _ = planned(DearFetch("dear"), RowSet.of([30, 399]), ["text"])
    assert plan.choice == "scan"
    assert plan.cost == plan.scan
    assert plan.scan.seconds < plan.fetch.seconds
    assert plan.reason.startswith("a scan is cheaper")
    assert sum(len(window.groups) for window in plan.windows) == 16


def test_every_column_of_every_row_is_read_as_whole_objects() -> None:
    plan, _ = planned(memory_tier(), RowSet.range(0, 400), TABLE.schema.names)
    assert (plan.cost.bytes, plan.cost.requests) == (plan.full.bytes, 4)


def test_a_gap_that_is_cheaper_than_a_request_is_read_over(tmp_path: Path) -> None:
    near, far = RowSet.of([0, 60]), ["key"]
    merged, _ = planned(open_tier(f"disk:{tmp_path}?device=hdd"), near, far)
    apart, _ = planned(memory_tier(), near, far)
    assert (merged.fetch.requests, apart.fetch.requests) == (1, 2)
    assert merged.fetch.bytes > apart.fetch.bytes


def test_windows_bound_what_is_held() -> None:
    plan, _ = planned(memory_tier(), RowSet.range(0, 400), ["text", "real"], read_ahead_bytes=2000)
    assert len(plan.windows) > 4
    assert all(window.raw_bytes <= 2000 or len(window.groups) == 1 for window in plan.windows)


@pytest.mark.parametrize("name", ["bytes", "requests", "seconds"])
def test_a_plan_above_a_limit_is_refused_before_anything_is_read(name: str) -> None:
    tier = memory_tier()
    plan, _ = planned(tier, RowSet.of([1]), ["text"])
    before = tier.counted
    plan.check_limits({name: getattr(plan.cost, name)})
    with pytest.raises(CostLimitError, match=f"{name}, more than max_cost"):
        plan.check_limits({name: getattr(plan.cost, name) / 2})
    with small_context(max_cost={name: 0}) as context, pytest.raises(CostLimitError):
        next(run(plan, context))
    assert tier.counted == before


def test_an_unknown_limit_or_column_is_named() -> None:
    plan, extents = planned(memory_tier(), RowSet.of([1]), ["text"])
    with pytest.raises(OptionError, match="'hours'"):
        plan.check_limits({"hours": 1})
    with pytest.raises(UnknownColumnError, match="'texts'"):
        plan_thaw(extents, plan.tier, RowSet.of([1]), ["texts"], schema=TABLE.schema)


def test_a_plan_is_plain_json() -> None:
    plan, _ = planned(memory_tier(), RowSet.of([1, 2]), ["text", "key"])
    found = json.loads(json.dumps(plan.to_json()))
    assert found["columns"] == ["text", "key"]
    assert found["cost"] == found["fetch"] != found["scan"] != found["full"]
    assert (found["rows"], found["extents"], found["row_groups"]) == (2, 4, 16)


def test_a_plan_without_extents_is_empty() -> None:
    plan = plan_thaw([], memory_tier(), RowSet.empty(), ["a"], schema=pa.schema({"a": pa.int64()}))
    with small_context() as context:
        assert [*run(plan, context)] == []
