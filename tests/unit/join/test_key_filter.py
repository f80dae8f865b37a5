from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import esker
from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.engine.sources.files import FilesSource
from esker.join import JoinInput, plan_join
from esker.join.key_filter import KeyFilter
from esker.testing.stores import CountingStore

ROWS = 20_000
GROUP_ROWS = 1_000
MAKERS: dict[str, Callable[[int], Any]] = {
    "integer": lambda n: n,
    "text": lambda n: f"{n:06}",
    "day": lambda n: dt.date(1900, 1, 1) + dt.timedelta(days=n),
    "time": lambda n: dt.datetime(2000, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=n),
    "decimal": lambda n: Decimal(n).scaleb(-2),
    "float": lambda n: float("nan") if n % 1_000 == 7 else n / 2,
}


def written(folder: Path, name: str, keys: list[Any]) -> FilesSource:
    table = pa.table({"k": pa.array(keys), name: np.arange(len(keys))})
    pq.write_table(table, folder / f"{name}.parquet", row_group_size=GROUP_ROWS)
    return FilesSource(str(folder / f"{name}.parquet"))


def joined(
    left: FilesSource, right: FilesSource, how: str, algorithm: str
) -> tuple[list[tuple[Any, ...]], dict[str, Any] | None]:
    events: list[Any] = []
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        context.log.listen(events.append)
        inputs = [side.join_input(side.schema.names, None, context)[0] for side in (left, right)]
        plan = plan_join(*inputs, [("k", "k")], how, algorithm=algorithm, context=context)
        rows = [tuple(row.values()) for batch in plan.run(context) for row in batch.to_pylist()]
    filtered = [event for event in events if event["event"] == "join_filtered"]
    return rows, filtered[0] if filtered else None


@pytest.mark.parametrize("key", MAKERS)
@pytest.mark.parametrize("how", ["inner", "left", "right", "semi", "anti", "full"])
@pytest.mark.parametrize("algorithm", ["asj", "hash", "in_memory"])
def test_row_groups_no_key_lies_in_are_not_read_and_no_row_is_lost(
    key: str, how: str, algorithm: str, tmp_path: Path
) -> None:
    make = MAKERS[key]
    large = [make(number) for number in range(ROWS)]
    small = [*(make(number) for number in range(7_500, 9_500, 5)), make(ROWS + 5), None]
    left, right = written(tmp_path, "l", large), written(tmp_path, "r", small)
    rows, filtered = joined(left, right, how, algorithm)
    places = {repr(value): place for place, value in enumerate(large)}
    matched = {places[repr(value)]: number for number, value in enumerate(small) if repr(value) in places}
    lone_left = [place for place in range(ROWS) if place not in matched]
    lone_right = [len(small) - 2, len(small) - 1]
    expected = {
        "inner": len(matched),
        "left": ROWS,
        "right": len(small),
        "full": ROWS + 2,
        "semi": len(matched),
        "anti": len(lone_left),
    }[how]
    assert len(rows) == expected
    assert {row[1] for row in rows if row[1] is not None} == {
        "inner": set(matched),
        "semi": set(matched),
        "right": set(matched),
        "left": set(range(ROWS)),
        "full": set(range(ROWS)),
        "anti": set(lone_left),
    }[how]
    if how in ("right", "full"):
        assert {row[2] for row in rows if row[1] is None} == set(lone_right)
    if how in ("left", "full", "anti"):
        assert filtered is None, "all left rows come out, so all are read"
        return
    assert filtered is not None
    # Keys 7,500 to ROWS + 5, each fifth up to 9,495: the bounds leave out seven groups, the bitmap most other rows.
    passed_over = 0 if key == "float" else 7 * GROUP_ROWS
    assert filtered["rows_passed_over"] == passed_over
    assert filtered["rows_dropped"] > (ROWS - passed_over) // 2


def test_a_larger_right_side_is_narrowed_by_the_keys_of_the_left(tmp_path: Path) -> None:
    left, right = written(tmp_path, "l", [5, 6]), written(tmp_path, "r", list(range(ROWS)))
    rows, filtered = joined(left, right, "left", "asj")
    assert rows == [(5, 0, 5), (6, 1, 6)]
    assert filtered is not None
    assert filtered["rows_passed_over"] == ROWS - GROUP_ROWS


def test_the_other_side_s_keys_spare_bytes(tmp_path: Path) -> None:
    written(tmp_path, "l", list(range(ROWS)))
    written(tmp_path, "r", [3, 4, 5])
    left, right = (esker.read_parquet(str(tmp_path / f"{name}.parquet")) for name in "lr")
    result = left.join(right, on="k", algorithm="hash").execute()
    assert sum(batch.num_rows for batch in result) == 3
    costs = result.explanation
    assert costs.actual is not None
    assert costs.estimated is not None
    assert costs.actual.bytes < costs.estimated.bytes / 10


def test_found_rows_and_the_join_index_together_touch_only_the_intersection() -> None:
    left = CountingStore(pa.table({"k": np.arange(ROWS), "payload": np.arange(ROWS)}), ["k"])
    right = CountingStore(pa.table({"k": np.arange(0, ROWS, 100), "other": np.arange(0, ROWS, 100)}), ["k"])
    found = RowSet.range(1_000, 1_500)
    inputs = JoinInput(left, found, ("k", "payload")), JoinInput(right, None, ("other",))
    with QueryContext() as context:
        plan = plan_join(*inputs, [("k", "k")], "inner", algorithm="asj", context=context)
        rows = [row for batch in plan.run(context) for row in batch.to_pylist()]
    assert [row["k"] for row in rows] == [1000, 1100, 1200, 1300, 1400]
    payload = [rows for columns, rows in left.fetched if "payload" in columns]
    assert payload == [RowSet.of([1000, 1100, 1200, 1300, 1400])]
    assert [rows for columns, rows in right.fetched if "other" in columns] == [RowSet.range(10, 15)]


def test_the_filter_keeps_its_memory_and_gives_it_back() -> None:
    with QueryContext(budget=MemoryBudget("16MiB")) as context:
        keys = KeyFilter([pa.int64()], 10_000_000, context)
        assert 0 < context.budget.held_bytes <= context.budget.total_bytes // 64
        column = [pa.array(np.arange(1_000_000))]
        keys.add(column)
        keys.finish()  # far more keys than slots: the bitmap tells nothing and is given up
        assert keys.may_match(column) is None
        keys.close()
        assert context.budget.held_bytes == 0
