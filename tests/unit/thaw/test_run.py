"""Running plans: the right rows, in order, within the budget, from bytes that are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.core.event_log import EventLog
from esker.core.row_set import RowSet
from esker.errors import CancelledError, MemoryBudgetExceededError, PayloadCorruptError
from esker.storage import open_tier
from esker.storage.tiers.memory import _PLACES, MemoryTier
from esker.testing import tables
from esker.thaw import PayloadExtent, plan_thaw, run
from tests.unit.thaw.tools import collected, memory_tier, small_context, stored, wide_table

TABLE = wide_table(400)


@settings(max_examples=40)
@given(
    wanted=st.lists(st.integers(0, 399)) | st.just(list(range(400))),
    columns=st.lists(st.sampled_from(TABLE.schema.names), min_size=1, unique=True),
    batch_rows=st.sampled_from([1, 7, 25, 1000]),
    read_ahead=st.sampled_from([1, 3000, 1 << 20]),
)
def test_the_wanted_rows_come_in_row_id_order(
    wanted: list[int], columns: list[str], batch_rows: int, read_ahead: int
) -> None:
    tier = memory_tier()
    extents = stored(TABLE, tier, extent_rows=110, group_rows=30)
    rows = RowSet.of(wanted)
    plan = plan_thaw(extents, tier, rows, columns, schema=TABLE.schema, read_ahead_bytes=read_ahead)
    with small_context(batch_rows=batch_rows) as context:
        found = list(run(plan, context))
    ids, table = collected(found, plan.schema)
    assert ids == rows.to_numpy().tolist()
    assert table.equals(TABLE.select(columns).take(pa.array(ids, pa.int64())))
    assert all(part.batch.num_rows <= batch_rows for part in found)


def printed(column: pa.ChunkedArray) -> str:
    """What a column prints, since NaN differs from itself; durations as numbers: Python's own end earlier."""
    return str((column.cast(pa.int64()) if pa.types.is_duration(column.type) else column).to_pylist())


@settings(max_examples=40)
@given(table=tables(rows_max=12, columns_max=3), data=st.data())
def test_every_type_comes_back_as_pyarrow_reads_it(table: pa.Table, data: st.DataObject) -> None:
    try:
        tier = memory_tier()
        extents = stored(table, tier, extent_rows=5, group_rows=2)
    except pa.ArrowNotImplementedError:
        return
    rows = RowSet.of(data.draw(st.lists(st.integers(0, max(table.num_rows - 1, 0)))))
    rows = rows.slice(0, table.num_rows)
    plan = plan_thaw(extents, tier, rows, table.schema.names, schema=table.schema)
    with small_context() as context:
        ids, found = collected(run(plan, context), table.schema)
    expected = table.take(pa.array(ids, pa.int64()))
    assert [printed(column) for column in found.columns] == [printed(column) for column in expected.columns]
    assert ids == rows.to_numpy().tolist()


def test_rows_on_tape_come_in_row_id_order_whatever_the_drives_do(tmp_path: Path) -> None:
    writing = open_tier(f"tape:{tmp_path}?device=exabyte-220l&cartridge=6KiB&drives=3")
    extents = stored(TABLE, writing, extent_rows=50, group_rows=25)
    tier = open_tier(writing.uri)
    plan = plan_thaw(extents, tier, RowSet.range(0, 400), ["text", "key"], schema=TABLE.schema)
    with small_context() as context:
        ids, table = collected(run(plan, context), plan.schema)
    assert ids == list(range(400))
    assert table.equals(TABLE.select(["text", "key"]))
    assert plan.cost.mounts == tier.counted.mounts == len(list(tmp_path.glob("cartridge-*")))


def test_a_window_too_big_for_the_budget_is_read_in_halves() -> None:
    noise = np.random.default_rng(7).bytes(24 << 20)
    table = pa.table({"blob": [noise[start : start + 4096] for start in range(0, len(noise), 4096)]})
    tier = memory_tier()
    extents = stored(table, tier, extent_rows=table.num_rows, group_rows=200)
    everything = RowSet.range(0, table.num_rows)
    plan = plan_thaw(extents, tier, everything, ["blob"], schema=table.schema, read_ahead_bytes=1 << 30)
    assert len(plan.windows) == 1 and plan.windows[0].raw_bytes > 16 << 20
    with small_context("16MiB") as context:
        rows = 0
        for part in run(plan, context):
            rows += part.batch.num_rows
            assert context.budget.holders()["thaw"] <= 8 << 20
        assert rows == table.num_rows
        assert context.budget.held_bytes == 0
        assert context.budget.peak_bytes <= 8 << 20


def test_a_row_group_that_does_not_fit_is_named_with_who_holds_what() -> None:
    noise = np.random.default_rng(7).bytes(18 << 20)
    table = pa.table({"blob": [noise]})
    tier = memory_tier()
    extents = stored(table, tier, extent_rows=1, group_rows=1)
    plan = plan_thaw(extents, tier, RowSet.of([0]), ["blob"], schema=table.schema)
    before = tier.counted
    with small_context("16MiB") as context, pytest.raises(MemoryBudgetExceededError, match="thaw needs"):
        next(run(plan, context))
    assert tier.counted == before


def damage(tier: MemoryTier, extent: PayloadExtent, at: int) -> None:
    """Turn a byte of a stored object round."""
    objects = _PLACES[tier.uri.removeprefix("memory:")]
    content = bytearray(objects[extent.extent.key])
    content[at] ^= 0xFF
    objects[extent.extent.key] = bytes(content)


def middle_of(extent: PayloadExtent, group: int, column: int) -> int:
    chunk = extent.footer.row_group(group).column(column)
    return int(chunk.data_page_offset + chunk.total_compressed_size - 3)


@pytest.mark.parametrize("columns", [["key"], TABLE.schema.names], ids=["page checksum", "extent checksum"])
def test_damaged_payload_is_named(columns: list[str]) -> None:
    tier = memory_tier()
    assert isinstance(tier, MemoryTier)
    extents = stored(TABLE, tier, extent_rows=100, group_rows=25, use_dictionary=False, compression="none")
    damage(tier, extents[2], middle_of(extents[2], 1, 0))
    plan = plan_thaw(extents, tier, RowSet.range(0, 400), columns, schema=TABLE.schema)
    with small_context() as context, pytest.raises(PayloadCorruptError, match=extents[2].extent.key):
        list(run(plan, context))
    assert context.budget.held_bytes == 0


def test_rows_before_the_damage_are_read() -> None:
    tier = memory_tier()
    assert isinstance(tier, MemoryTier)
    extents = stored(TABLE, tier, extent_rows=100, group_rows=25, use_dictionary=False, compression="none")
    damage(tier, extents[2], middle_of(extents[2], 1, 0))
    plan = plan_thaw(extents, tier, RowSet.range(0, 225), ["key"], schema=TABLE.schema)
    with small_context() as context:
        assert collected(run(plan, context), plan.schema)[0] == list(range(225))


def test_cancelling_stops_the_thaw_and_frees_its_memory() -> None:
    tier = memory_tier()
    extents = stored(TABLE, tier, extent_rows=100, group_rows=25)
    plan = plan_thaw(extents, tier, RowSet.range(0, 400), ["key"], schema=TABLE.schema, read_ahead_bytes=1)
    with small_context() as context:
        batches = run(plan, context)
        next(batches)
        context.cancellation.cancel("Ctrl-C")
        with pytest.raises(CancelledError, match="Ctrl-C"):
            list(batches)
        assert context.budget.held_bytes == 0


def test_closing_early_frees_the_memory() -> None:
    tier = memory_tier()
    extents = stored(TABLE, tier, extent_rows=100, group_rows=25)
    plan = plan_thaw(extents, tier, RowSet.range(0, 400), ["key"], schema=TABLE.schema)
    with small_context() as context:
        batches = run(plan, context)
        next(batches)
        assert context.budget.held_bytes > 0
        batches.close()  # type: ignore[attr-defined]
        assert context.budget.held_bytes == 0


def test_the_log_has_the_plan_the_reads_the_devices_and_the_counts(tmp_path: Path) -> None:
    tier = open_tier(f"tape:{tmp_path}?device=exabyte-220l&cartridge=1MiB")
    extents = stored(TABLE, tier, extent_rows=100, group_rows=25)
    plan = plan_thaw(extents, tier, RowSet.of([1, 399]), ["text"], schema=TABLE.schema)
    events: list[Any] = []
    log = EventLog()
    log.listen(events.append)
    with small_context(log=log) as context:
        list(run(plan, context))
    json.dumps(events)
    names = [event["event"] for event in events if event["event"] not in ("work", "memory")]
    assert names[0] == "thaw_planned" and names[-1] == "thaw_done"
    assert [event["key"] for event in events if event["event"] == "extent_read"] == [
        extents[0].extent.key,
        extents[3].extent.key,
    ]
    assert {event["kind"] for event in events if event["event"] == "device_event"} == {"locate", "transfer"}
    (done,) = (event for event in events if event["event"] == "thaw_done")
    assert done["rows"] == 2
    assert done["counted"]["bytes"] == done["estimated"]["bytes"] == plan.cost.bytes
    assert done["counted"]["seconds"] == pytest.approx(done["estimated"]["seconds"])
