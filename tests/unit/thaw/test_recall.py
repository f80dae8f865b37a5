"""Archives: priced before, asked for once, read as they become ready, and given up at a deadline with a clear word."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from esker.core.row_set import RowSet
from esker.errors import CancelledError, CostLimitError, NotThawedError
from esker.thaw import PayloadExtent, ThawPlan, plan_thaw, run
from tests.unit.thaw.archive import ArchiveTier
from tests.unit.thaw.tools import collected, small_context, stored, wide_table

TABLE = wide_table(400)


def archived(name: str, hours: list[float] | None = None) -> tuple[ArchiveTier, list[PayloadExtent]]:
    tier = ArchiveTier(name)
    extents = stored(TABLE, tier, extent_rows=50, group_rows=25)
    if hours is not None:
        tier.hours = {extent.extent.key: time for extent, time in zip(extents, hours, strict=True)}
    return tier, extents


def planned(tier: ArchiveTier, extents: list[PayloadExtent], rows: RowSet) -> ThawPlan:
    return plan_thaw(extents, tier, rows, ["text", "key"], schema=TABLE.schema)


def test_objects_hours_and_money_are_known_before_anything_is_asked_for() -> None:
    tier, extents = archived("archive-priced")
    plan = planned(tier, extents, RowSet.of([3, 60, 61, 399]))
    assert [extent.key for extent in plan.recalls] == [extents[number].extent.key for number in (0, 1, 7)]
    assert plan.recall.money == 3.0 and plan.cost.money == 3.0 and plan.cost.seconds > 5 * 3600
    assert plan.scan.money == 8.0
    assert tier.restores == [] and tier.reads == []
    with small_context(max_cost={"money": 2.5}) as context, pytest.raises(CostLimitError, match="money"):
        next(run(plan, context))
    assert tier.restores == []


def test_as_many_restores_as_objects_are_touched_and_none_twice() -> None:
    tier, extents = archived("archive-once")
    rows = RowSet.of([3, 60, 61, 399])
    plan = planned(tier, extents, rows)
    before = tier.counted
    with small_context() as context:
        ids, table = collected(run(plan, context), plan.schema)
    assert ids == [3, 60, 61, 399]
    assert table.equals(TABLE.select(["text", "key"]).take(pa.array(ids)))
    counted = tier.counted.since(before)
    assert (counted.bytes, counted.requests, counted.money) == (plan.cost.bytes, plan.cost.requests, plan.cost.money)
    assert sorted(tier.restores) == sorted(extent.key for extent in plan.recalls)
    again = planned(tier, extents, rows)
    assert again.recall.money == 0
    with small_context() as context:
        assert collected(run(again, context), plan.schema)[0] == ids
    assert len(tier.restores) == 3


def test_a_run_that_was_killed_while_objects_were_on_their_way_asks_for_none_again() -> None:
    tier, extents = archived("archive-killed")
    plan = planned(tier, extents, RowSet.range(0, 400))
    # What a kill leaves is what the store remembers.
    tier.request([extent.extent for extent in extents[:5]])
    with small_context() as context:
        assert collected(run(planned(tier, extents, RowSet.range(0, 400)), context), plan.schema)[0] == list(range(400))
    assert sorted(tier.restores) == sorted(extent.extent.key for extent in extents)


def test_rows_stream_while_later_objects_are_cold() -> None:
    tier, extents = archived("archive-streams", hours=[1, 2, 3, 4, 5, 6, 7, 8])
    plan = planned(tier, extents, RowSet.range(0, 400))
    with small_context() as context:
        batches = run(plan, context)
        first = next(batches)
        assert int(first.row_ids[0]) == 0
        assert tier.clock.seconds() < 2 * 3600
        assert len(list(batches)) >= 7


def test_out_of_order_what_is_ready_comes_first() -> None:
    tier, extents = archived("archive-ready", hours=[8, 7, 6, 5, 4, 3, 2, 1])
    plan = planned(tier, extents, RowSet.range(0, 400))
    with small_context(ordered=False) as context:
        ids, table = collected(run(plan, context), plan.schema)
    assert [ids[number] for number in range(0, 400, 50)] == [350, 300, 250, 200, 150, 100, 50, 0]
    assert table.equals(TABLE.select(["text", "key"]).take(pa.array(ids)))


def test_a_restore_that_never_comes_ends_at_the_deadline_with_what_is_missing() -> None:
    tier, extents = archived("archive-never", hours=[1, 1, 1, 1, 1, 1, 1, 1e9])
    plan = planned(tier, extents, RowSet.range(0, 400))
    rows = 0
    with small_context(deadline=24 * 3600.0) as context:
        with pytest.raises(NotThawedError, match="1 of 8 extents.*run the same again") as raised:
            for part in run(plan, context):
                rows += part.batch.num_rows
    assert extents[7].extent.key in str(raised.value)
    assert rows == 350
    assert 24 * 3600 <= tier.clock.seconds() < 25 * 3600


def test_waiting_can_be_cancelled() -> None:
    tier, extents = archived("archive-cancelled", hours=[1e9] * 8)
    plan = planned(tier, extents, RowSet.range(0, 400))
    with small_context() as context:
        tier.clock.sleep = lambda seconds: context.cancellation.cancel("Ctrl-C")  # type: ignore[method-assign]
        with pytest.raises(CancelledError, match="Ctrl-C"):
            next(run(plan, context))


def test_a_deadline_passes_while_reading_and_the_next_run_goes_on(tmp_path: Path) -> None:
    tier, extents = archived("archive-late", hours=[0.0] * 8)
    plan = planned(tier, extents, RowSet.range(0, 400))
    with small_context(deadline=100.0, cache_folder=tmp_path) as context:
        batches = run(plan, context)
        for _ in range(3):
            next(batches)
        tier.clock.sleep(200)
        with pytest.raises(NotThawedError, match=rf"6 of 8 extents .* are missing: .*kept in {tmp_path}"):
            list(batches)
    before = len(tier.reads)
    assert before < len(plan.requests)
    with small_context(cache_folder=tmp_path) as context:
        ids, _ = collected(run(planned(tier, extents, RowSet.range(0, 400)), context), plan.schema)
    assert ids == list(range(400))
    assert len(tier.reads) == len(plan.requests), "nothing was read twice"


def test_what_a_cache_has_is_not_recalled(tmp_path: Path) -> None:
    tier, extents = archived("archive-cached")
    plan = planned(tier, extents, RowSet.of([3, 60]))
    with small_context(cache_folder=tmp_path) as context:
        list(run(plan, context))
    tier.asked.clear()
    from esker.thaw.fetch_cache import FetchCache

    with FetchCache(tmp_path, tier.uri, 1 << 30) as cache:
        again = plan_thaw(extents, tier, plan.rows, ["text", "key"], schema=TABLE.schema, held=cache.has)
    assert (again.recalls, again.cost.bytes, again.cost.requests, again.cost.money) == ([], 0, 0, 0.0)
    with small_context(cache_folder=tmp_path) as context:
        assert collected(run(again, context), plan.schema)[0] == [3, 60]
    assert len(tier.restores) == 2
