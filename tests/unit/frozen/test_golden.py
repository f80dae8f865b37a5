from __future__ import annotations

import datetime as dt
import decimal
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esker.core.row_set import RowSet
from esker.frozen import FrozenCatalog, append
from tests.unit.frozen.tools import context, hot_table, same

GOLDEN = Path(__file__).parents[2] / "golden" / "frozen-1"
_D = decimal.Decimal
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, None, 4, 5, 7, 6], pa.int64()),
        "month": pa.array([1, 1, 1, 1, 2, 2, 2, 3], pa.int8()),
        "delay": [float("nan"), None, 1.5, -0.0, 0.0, 120.25, 15.0, float("inf")],
        "tail": ["", "N3", "N1", None, "N6", "é", "a long string, beyond any inline view", "N8"],
        "when": pa.array(
            [dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (1, 1, 1, 1, 2, 2, 2, 3)],
            pa.timestamp("us", "America/New_York"),
        ),
        "price": pa.array(
            [None, _D("1.50"), _D("1.50"), None, None, _D("1.50"), _D("1.50"), None], pa.decimal128(9, 2)
        ),
        "note": [f"row {number}" for number in (1, 2, 0, 3, 5, 4, 6, 7)],
    }
)


@pytest.fixture
def golden(tmp_path) -> Path:
    # A copy: opening SQLite's files makes others beside them for a moment.
    shutil.copytree(GOLDEN, tmp_path / "golden")
    return tmp_path / "golden" / "flights.esker"


def test_a_data_set_of_format_1_reads_as_when_it_was_written(golden):
    with FrozenCatalog.open(golden) as catalog:
        assert (catalog.name, catalog.row_count, catalog.created_seconds) == ("flights", 8, 1_700_000_000)
        assert catalog.tier_uri == f"disk:{golden}/payload"
        assert [extent.extent.row_count for extent in catalog.extents] == [4, 2, 1, 1]
        hot = ["id", "delay", "tail", "when", "price"]
        ids, rows = hot_table(catalog, hot)
        assert same(rows, ROWS.select(hot)) and ids == list(range(8))
        assert hot_table(catalog, ["tail"], RowSet.of([4, 7]))[1]["tail"].to_pylist() == ["N6", "N8"]
        payload = [pq.read_table(golden / "payload" / extent.extent.key) for extent in catalog.extents]
        assert same(pa.concat_tables(payload), ROWS)
        catalog.verify(deep=True)


def test_a_data_set_of_format_1_takes_more_rows(golden):
    with context() as query:
        append(golden, iter(ROWS.to_batches()), context=query)
    with FrozenCatalog.open(golden) as catalog:
        assert catalog.row_count == 16
        catalog.verify(deep=True)
