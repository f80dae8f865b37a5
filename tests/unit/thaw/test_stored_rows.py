"""A frozen data set as a row store."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.cost import NO_COST
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch, RowStore
from esker.errors import CostLimitError, UnknownColumnError
from esker.frozen import FrozenCatalog, freeze
from esker.storage import open_tier
from esker.thaw import StoredRows
from esker.thaw.aligned import side_by_side
from tests.unit.thaw.tools import collected, small_context, wide_table

TABLE = wide_table(500).append_column("month", pa.array(np.arange(500) // 100))


@pytest.fixture(scope="module", params=["disk", "tape"])
def catalog(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrozenCatalog:
    folder = tmp_path_factory.mktemp("stored")
    options = {"disk": "", "tape": "?device=lto9-hh&cartridge=16KiB"}[request.param]
    tier = open_tier(f"{request.param}:{folder}/payload{options}")
    with small_context() as context:
        freeze(
            iter(TABLE.to_batches()),
            TABLE.schema,
            folder / "rows.esker",
            hot_columns=["key", "month"],
            tier=tier,
            split_by="month",
            row_group_rows=30,
            context=context,
        )
    return FrozenCatalog.open(folder / "rows.esker")


def test_it_is_a_row_store(catalog: FrozenCatalog) -> None:
    store: RowStore = StoredRows(catalog)
    assert (store.name, store.row_count, store.hot_columns) == ("rows", 500, {"key", "month"})
    assert store.schema.names == TABLE.schema.names


@pytest.mark.parametrize("columns", [["text"], ["text", "key"], ["month", "real", "key"], ["pair"], ["key"], []])
@pytest.mark.parametrize("rows", [RowSet.of([0, 3, 4, 255, 499]), RowSet.range(90, 310), RowSet.empty()])
def test_fetched_rows_are_those_that_were_frozen(catalog: FrozenCatalog, columns: list[str], rows: RowSet) -> None:
    store = StoredRows(catalog)
    with small_context(batch_rows=64) as context:
        ids, table = collected(store.fetch(rows, columns, context), pa.schema([TABLE.schema.field(c) for c in columns]))
    assert ids == rows.to_numpy().tolist()
    assert table.column_names == columns
    if columns:
        assert table.equals(TABLE.select(columns).take(rows.to_numpy()))


def test_a_scan_gives_all_rows(catalog: FrozenCatalog) -> None:
    with small_context(batch_rows=64) as context:
        ids, table = collected(StoredRows(catalog).scan(TABLE.schema.names, context), TABLE.schema)
    assert ids == list(range(500))
    assert table.equals(TABLE)


def test_hot_columns_never_touch_the_payload(catalog: FrozenCatalog) -> None:
    store = StoredRows(catalog)
    before = store.counted
    plan = store.plan(RowSet.of([5]), ["month", "key"])
    with small_context() as context:
        assert len(list(store.run(plan, context))) == 1
    assert plan.thaw is None and "not touched" in plan.reason
    assert store.counted.since(before) == NO_COST


def test_the_price_is_known_before_and_equals_what_is_counted(catalog: FrozenCatalog) -> None:
    store = StoredRows(catalog)
    rows = RowSet.of([0, 3, 450])
    plan = store.plan(rows, ["key", "text", "real"])
    assert plan.thaw is not None
    assert store.fetch_cost(rows, ["key", "text", "real"]) == plan.cost
    assert plan.cost.bytes == plan.hot.bytes + plan.thaw.cost.bytes
    assert store.scan_cost(["key", "text", "real"]).bytes > plan.cost.bytes
    before = store.counted
    with small_context() as context:
        list(store.run(plan, context))
    counted = store.counted.since(before)
    assert (counted.bytes, counted.requests, counted.mounts) == (
        plan.thaw.cost.bytes,
        plan.thaw.cost.requests,
        plan.thaw.cost.mounts,
    )


def test_only_the_cartridges_of_the_wanted_months_are_mounted(catalog: FrozenCatalog) -> None:
    taped = catalog.tier_uri.startswith("tape:")
    store = StoredRows(FrozenCatalog.open(catalog.folder))
    with small_context() as context:
        list(store.fetch(RowSet.range(110, 120), ["text"], context))
    assert store.counted.mounts == (1 if taped else 0)
    assert {event["device"] for event in store.timeline()} == ({"arm", "drive 0"} if taped else set())


def test_a_limit_stops_before_anything_is_read(catalog: FrozenCatalog) -> None:
    store = StoredRows(catalog)
    before = store.counted
    with small_context(max_cost={"bytes": 10}) as context, pytest.raises(CostLimitError, match="nothing was read"):
        list(store.fetch(RowSet.of([1]), ["text"], context))
    assert store.counted == before


def test_an_unknown_column_is_named(catalog: FrozenCatalog) -> None:
    with pytest.raises(UnknownColumnError, match="did you mean 'text'"):
        StoredRows(catalog).plan(RowSet.of([1]), ["txt"])


def cuts(total: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, total), max_size=6).map(lambda points: sorted({0, *points, total}))


@given(total=st.integers(0, 20), data=st.data())
def test_columns_side_by_side_keep_their_rows(total: int, data: st.DataObject) -> None:
    def stream(name: str) -> list[RowBatch]:
        edges = data.draw(cuts(total))
        return [
            RowBatch(np.arange(a, b, dtype=np.uint64), pa.record_batch({name: pa.array(range(a, b), pa.int64())}))
            for a, b in pairwise(edges)
        ]

    found = list(side_by_side(iter(stream("left")), iter(stream("right")), ["right", "left"]))
    assert [row for part in found for row in part.batch.to_pylist()] == [{"right": n, "left": n} for n in range(total)]
    assert [int(row) for part in found for row in part.row_ids] == list(range(total))


def test_the_folder_can_be_opened_twice(catalog: FrozenCatalog, tmp_path: Path) -> None:
    first, second = StoredRows(catalog), StoredRows(FrozenCatalog.open(catalog.folder))
    with small_context() as context:
        assert collected(first.scan(["real"], context), pa.schema([TABLE.schema.field("real")])) == collected(
            second.scan(["real"], context), pa.schema([TABLE.schema.field("real")])
        )
