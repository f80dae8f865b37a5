"""Joins of frozen sets: rows stream while objects are cold, plans are made once, bounds of keys spare reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.engine.stores.table import TableRows
from esker.frozen import FrozenCatalog, freeze
from esker.frozen import hot as hot_files
from esker.join import JoinInput, plan_join
from esker.storage import Tier, open_tier
from esker.thaw import StoredRows, stored_rows
from tests.unit.thaw.archive import ArchiveTier

ROWS, EXTENT_ROWS = 4_000, 500
TABLE = pa.table({"id": np.arange(ROWS), "note": [f"note {row} " * 5 for row in range(ROWS)]})


def frozen(folder: Path, tier: Tier, table: pa.Table = TABLE, **options: Any) -> StoredRows:
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        chosen = {"hot_columns": ["id"], "extent_rows": EXTENT_ROWS, "row_group_rows": 250} | options
        freeze(iter(table.to_batches()), table.schema, folder / "n.esker", tier=tier, context=context, **chosen)
    return StoredRows(FrozenCatalog.open(folder / "n.esker", tier=tier))


def joined(left: Any, right: Any, context: QueryContext, algorithm: str = "asj") -> Any:
    inputs = (JoinInput(side, None, tuple(side.schema.names)) for side in (left, right))
    return plan_join(*inputs, [("id", "id")], "inner", algorithm=algorithm, context=context)


def test_rows_of_a_join_come_while_later_objects_are_cold(tmp_path: Path) -> None:
    tier = ArchiveTier("join-streams", hours=1.0)
    rows = frozen(tmp_path, tier)
    keys = sorted(stored.key for stored in tier.list(""))
    tier.hours = {key: float(number + 1) for number, key in enumerate(keys)}
    asked = TableRows(pa.table({"id": np.arange(0, ROWS, 7), "why": np.arange(0, ROWS, 7)}))
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        batches = joined(rows, asked, context).run(context)
        first = next(batches)
        assert first.column("id")[0].as_py() == 0
        assert tier.clock.seconds() < 2 * 3600, "the first object takes an hour, the last eight"
        rest = [row for batch in batches for row in batch.column("id").to_pylist()]
        assert tier.clock.seconds() >= 8 * 3600
    assert [*first.column("id").to_pylist(), *rest] == list(range(0, ROWS, 7))
    assert len(tier.restores) == ROWS // EXTENT_ROWS


def test_the_same_thaw_is_planned_once_until_something_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, ...]] = []
    original = stored_rows.plan_thaw

    def counted(*arguments: Any, **named: Any) -> Any:
        made.append(tuple(arguments[3]))
        return original(*arguments, **named)

    monkeypatch.setattr(stored_rows, "plan_thaw", counted)
    rows = frozen(tmp_path, open_tier(f"disk:{tmp_path}/payload"))
    asked = TableRows(pa.table({"id": np.arange(0, ROWS, 7)}))
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        plan = joined(rows, asked, context)
        # All rows, and those that match.
        assert made == [("note",), ("note",)]
        assert sum(batch.num_rows for batch in plan.run(context)) == len(range(0, ROWS, 7))
    assert len(made) <= 4


@pytest.mark.parametrize("device", ["lto9-hh", "exabyte-220l"])
def test_a_plan_is_made_anew_when_the_drives_have_moved(tmp_path: Path, device: str) -> None:
    uri = f"tape:{tmp_path}/payload?device={device}"
    frozen(tmp_path, open_tier(uri))
    # Opened anew: no cartridge is in a drive.
    rows = StoredRows(FrozenCatalog.open(tmp_path / "n.esker", tier=open_tier(uri)))
    wanted = RowSet.of([3_999])
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        before = rows.fetch_cost(wanted, ["note"])
        assert rows.fetch_cost(wanted, ["note"]) is not None
        assert [found.row_ids.tolist() for found in rows.fetch(wanted, ["note"], context)] == [[3_999]]
        after = rows.fetch_cost(wanted, ["note"])
    assert before.mounts == 1 and after.mounts == 0


def test_key_row_groups_that_no_key_can_be_in_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = hot_files._read_group

    def counted(file: Any, group: int, first_row: int, *rest: Any) -> Any:
        read.append(first_row)
        return original(file, group, first_row, *rest)

    many = pa.table({"id": np.arange(200_000), "note": ["a note"] * 200_000})
    options = {"extent_rows": 100_000, "row_group_rows": 20_000}
    rows = frozen(tmp_path, open_tier(f"disk:{tmp_path}/payload"), many, **options)
    zones = [*rows.zones("id")]
    assert len(zones) > 2
    assert [(zone.low.as_py(), zone.high.as_py()) for zone in zones if zone.low and zone.high] == [
        (zone.start, zone.stop - 1) for zone in zones
    ]
    monkeypatch.setattr(hot_files, "_read_group", counted)
    asked = TableRows(pa.table({"id": [zones[1].start + 3, zones[1].stop - 1]}))
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        plan = joined(rows, asked, context)
        found = [row for batch in plan.run(context) for row in batch.to_pylist()]
    assert [row["id"] for row in found] == [zones[1].start + 3, zones[1].stop - 1]
    assert set(read) == {zones[1].start}


def test_a_column_that_is_not_hot_has_no_bounds(tmp_path: Path) -> None:
    rows = frozen(tmp_path, open_tier(f"disk:{tmp_path}/payload"))
    assert [*rows.zones("note")] == []


@pytest.mark.parametrize("algorithm", ["hash", "in_memory"])
def test_what_is_spilled_is_charged_to_the_disk(algorithm: str) -> None:
    size = 60_000
    left, right = (
        TableRows(pa.table({"id": np.random.default_rng(seed).permutation(size), f"text{seed}": ["x" * 400] * size}))
        for seed in (1, 2)
    )
    with QueryContext(budget=MemoryBudget("24MiB"), threads=1) as context:
        plan = joined(left, right, context, "hash")
        plan.choice = algorithm  # a right side thought to fit that proves larger goes through the hash join
        assert sum(batch.num_rows for batch in plan.run(context)) == size
        account = plan.problem.account
        disk = [event for event in account.events if event.device == "disk"]
        moved = {"write": 0, "read": 0}
        for event in disk:
            moved[event.kind] += int(event.detail["bytes"])
    assert moved["write"] > 20_000_000
    assert 0.98 * moved["write"] <= moved["read"] <= moved["write"]
    assert account.busy["disk"] >= sum(moved.values()) / 2e9
    assert plan.actual is not None and plan.actual.bytes >= sum(moved.values())


def test_a_hash_join_that_spills_nothing_is_charged_its_reads_alone() -> None:
    rows = TableRows(pa.table({"id": np.arange(1_000)}))
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        plan = joined(rows, rows, context, "hash")
        assert sum(batch.num_rows for batch in plan.run(context)) == 1_000
    assert "disk" not in plan.problem.account.busy
    assert plan.actual is not None and plan.actual.bytes == 2 * rows.scan_cost(["id"]).bytes
