"""Payload by pages: their size, and the catalogue's word for where each lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from esker.core.row_set import RowSet
from esker.formats.parquet_tail import ParquetTail
from esker.frozen import FrozenCatalog
from esker.storage import Tier
from esker.storage.tiers.disk import DiskTier
from esker.storage.tiers.tape import TapeTier
from esker.thaw import StoredRows
from esker.thaw.layout import Layout
from tests.unit.frozen.test_golden import GOLDEN
from tests.unit.frozen.tools import context, frozen

ROWS = 20_000
_NOISE = np.random.default_rng(5).integers(0, 256, 300 * ROWS, np.uint8).tobytes()
TABLE = pa.table(
    {
        "key": range(ROWS),
        "payload": [_NOISE[300 * row : 300 * row + 300] for row in range(ROWS)],
        "city": [f"city {row % 7}" for row in range(ROWS)],
    }
)


@pytest.mark.parametrize(("kind", "low", "high"), [("disk", 48 << 10, 80 << 10), ("tape", 800 << 10, 1280 << 10)])
def test_pages_are_as_large_as_the_tier_wants_and_carry_no_statistics(
    tmp_path: Path, kind: str, low: int, high: int
) -> None:
    tier: Tier = DiskTier(tmp_path / "tier")
    if kind == "tape":
        tier = TapeTier.open(str(tmp_path / "tier"), {"device": "lto9-hh"})
    frozen(TABLE, tmp_path / "s.esker", ["key"], tier)  # type: ignore[arg-type]
    with FrozenCatalog.open(tmp_path / "s.esker", tier=tier) as catalog:
        extent = catalog.extents[0]
        layout = Layout(extent)
        paged = layout.paged(0, "payload")
        assert paged is not None and paged.head.length == 0, "no dictionary of wide values that do not repeat"
        sizes = paged.pages.sizes
        assert (sizes <= high).all() and (sizes[:-1] >= low).all() and len(sizes) > 1
        city = layout.paged(0, "city")
        assert city is not None and 0 < city.head.length < 200
        assert extent.footer.row_group(0).column(1).statistics is None
        assert extent.footer.row_group(0).column(0).statistics is not None


def test_a_page_in_the_catalogue_lies_where_it_says(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path / "tier")
    frozen(TABLE, tmp_path / "s.esker", ["key"], tier, extent_rows=7000)
    with FrozenCatalog.open(tmp_path / "s.esker", tier=tier) as catalog:
        for extent in catalog.extents:
            data = (tier.folder / extent.extent.key).read_bytes()
            assert data.endswith(extent.tail)
            assert len(extent.tail) < len(data) // 100
            assert ParquetTail(extent.tail, len(data)).index_start() == len(data) - len(extent.tail)
        rows = RowSet.of([0, 1, 6999, 7000, 19_999])
        store = StoredRows(catalog)
        plan = store.plan(rows, ["payload"])
        assert plan.thaw is not None and plan.thaw.page_count == 4
        before = tier.counted
        with context() as query:
            found = pa.Table.from_batches([part.batch for part in store.run(plan, query)])
        assert found.equals(TABLE.select(["payload"]).take(rows.to_numpy()))
        assert tier.counted.since(before).bytes == plan.thaw.cost.bytes < 5 * (70 << 10)


def test_a_data_set_without_offset_indexes_is_read_by_row_groups(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "golden")
    with FrozenCatalog.open(tmp_path / "golden" / "flights.esker") as catalog:
        assert all(Layout(extent).paged(0, "note") is None for extent in catalog.extents)
        assert all(ParquetTail(extent.tail, extent.extent.bytes).leaves for extent in catalog.extents)
