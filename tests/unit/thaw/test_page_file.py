"""Single pages: the chosen rows of every codec, encoding and kind of column, from the bytes of their pages alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.core.row_set import RowSet
from esker.errors import EskerError, PayloadCorruptError
from esker.storage.tiers.memory import _PLACES, MemoryTier
from esker.testing import tables
from esker.thaw import PayloadExtent, plan_thaw, run
from esker.thaw.layout import Layout
from tests.unit.thaw.test_run import printed
from tests.unit.thaw.tools import collected, memory_tier, small_context, stored, wide_table

ROWS = 600
TABLE = wide_table(ROWS).append_column("month", pa.array([f"month {row // 90}" for row in range(ROWS)]))
# Pages of a few rows: pyarrow looks at their size once in `write_batch_size` rows.
SMALL_PAGES = {"data_page_size": 40, "write_batch_size": 3}

row_sets = st.one_of(
    st.lists(st.integers(0, ROWS - 1), max_size=8),
    st.builds(
        lambda start, length: list(range(start, min(start + length, ROWS))),
        st.integers(0, ROWS - 1),
        st.integers(1, 50),
    ),
)


@settings(max_examples=60)
@given(
    wanted=row_sets,
    columns=st.lists(st.sampled_from(TABLE.schema.names), min_size=1, unique=True),
    codec=st.sampled_from(["none", "snappy", "gzip", "brotli", "lz4", "zstd"]),
    version=st.sampled_from(["1.0", "2.0"]),
    dictionary=st.sampled_from([True, False, ["month"]]),
    batch_rows=st.sampled_from([1, 7, 1000]),
)
def test_rows_by_pages_are_the_rows(
    wanted: list[int], columns: list[str], codec: str, version: str, dictionary: bool | list[str], batch_rows: int
) -> None:
    tier = memory_tier()
    options = {"compression": codec, "data_page_version": version, "use_dictionary": dictionary, **SMALL_PAGES}
    extents = stored(TABLE, tier, extent_rows=250, group_rows=110, **options)
    rows = RowSet.of(wanted)
    plan = plan_thaw(extents, tier, rows, columns, schema=TABLE.schema)
    before = tier.counted
    with small_context(batch_rows=batch_rows) as context:
        found = list(run(plan, context))
    ids, table = collected(found, plan.schema)
    assert ids == rows.to_numpy().tolist()
    assert table.equals(TABLE.select(columns).take(pa.array(ids, pa.int64())))
    assert all(part.batch.num_rows <= batch_rows for part in found)
    counted = tier.counted.since(before)
    assert (counted.bytes, counted.requests) == (plan.cost.bytes, plan.cost.requests)


@settings(max_examples=60)
@given(table=tables(rows_max=40, columns_max=3), data=st.data())
def test_every_type_comes_back_as_pyarrow_reads_it(table: pa.Table, data: st.DataObject) -> None:
    try:
        tier = memory_tier()
        extents = stored(table, tier, extent_rows=30, group_rows=20, **SMALL_PAGES)
    except pa.ArrowNotImplementedError:
        return
    rows = RowSet.of(data.draw(st.lists(st.integers(0, max(table.num_rows - 1, 0)), max_size=3)))
    rows = rows.slice(0, table.num_rows)
    plan = plan_thaw(extents, tier, rows, table.schema.names, schema=table.schema)
    with small_context() as context:
        ids, found = collected(run(plan, context), table.schema)
    expected = table.take(pa.array(ids, pa.int64()))
    assert [printed(column) for column in found.columns] == [printed(column) for column in expected.columns]


def test_a_row_costs_its_page_and_not_its_row_group() -> None:
    tier = memory_tier()
    extents = stored(TABLE, tier, extent_rows=ROWS, group_rows=300, use_dictionary=False, **SMALL_PAGES)
    plan = plan_thaw(extents, tier, RowSet.of([7, 450]), ["key"], schema=TABLE.schema)
    assert plan.choice == "fetch" and plan.page_count == 2
    assert plan.fetch.bytes < plan.scan.bytes / 20
    assert "2 pages of 2 of 2 row groups" in plan.reason


def test_a_dictionary_is_read_beside_its_pages() -> None:
    tier = memory_tier()
    extents = stored(TABLE, tier, extent_rows=ROWS, group_rows=ROWS, compression="none", **SMALL_PAGES)
    paged = Layout(extents[0]).paged(0, "month")
    assert paged is not None and paged.head.length > 0
    plan = plan_thaw(extents, tier, RowSet.of([599]), ["month"], schema=TABLE.schema)
    assert [request.range.start for request in plan.requests] == [paged.head.start, int(paged.pages.offsets[-1])]
    with small_context() as context:
        assert collected(run(plan, context), plan.schema)[1]["month"].to_pylist() == ["month 6"]


@pytest.mark.parametrize("options", [{"write_page_index": False}, {}], ids=["no index", "several leaves"])
def test_without_pages_of_its_own_a_column_is_read_by_row_groups(options: dict[str, bool]) -> None:
    tier = memory_tier()
    extents = stored(TABLE, tier, extent_rows=ROWS, group_rows=200, **SMALL_PAGES, **options)
    layout = Layout(extents[0])
    assert layout.paged(0, "pair") is None
    assert (layout.paged(0, "key") is None) == bool(options)
    plan = plan_thaw(extents, tier, RowSet.of([250]), ["pair"], schema=TABLE.schema)
    assert plan.page_count == 0
    assert plan.fetch.bytes == sum(chunk.range.length for chunk in layout.chunks(1, ["pair"]))


def test_a_file_of_very_many_chunks_is_read_by_row_groups() -> None:
    table = pa.table({f"column {number}": range(40) for number in range(120)})
    extents = stored(table, memory_tier(), extent_rows=40, group_rows=1, **SMALL_PAGES)
    assert Layout(extents[0]).paged(0, "column 0") is None


@settings(max_examples=150)
@given(place=st.integers(0, 1 << 20), value=st.integers(1, 255), column=st.sampled_from(["text", "list", "month"]))
def test_a_changed_byte_of_the_pages_is_an_error_or_does_not_matter(place: int, value: int, column: str) -> None:
    tier = memory_tier()
    assert isinstance(tier, MemoryTier)
    extent = stored(TABLE, tier, extent_rows=ROWS, group_rows=ROWS, compression="none", **SMALL_PAGES)[0]
    rows = RowSet.of([3, 200, 201, 599])
    plan = plan_thaw([extent], tier, rows, [column], schema=TABLE.schema)
    where = [offset for request in plan.requests for offset in range(request.range.start, request.range.stop)]
    content = bytearray(extent.tail)
    content[where[place % len(where)]] ^= value
    _PLACES[tier.uri.removeprefix("memory:")][extent.extent.key] = bytes(content)
    with small_context() as context:
        try:
            found = collected(run(plan, context), plan.schema)[1]
        except EskerError as error:
            assert extent.extent.key in str(error) and isinstance(error, PayloadCorruptError)
            return
    # What page checksums do not cover are page headers; what they say beside sizes and counts is not used.
    assert found.equals(TABLE.select([column]).take(pa.array([3, 200, 201, 599])))


def test_pages_of_another_file_are_refused() -> None:
    tier = memory_tier()
    assert isinstance(tier, MemoryTier)
    options = {"compression": "none", "use_dictionary": False, **SMALL_PAGES}
    table = pa.table({"key": np.arange(ROWS), "other": np.arange(ROWS) * 2})
    extent = stored(table, tier, extent_rows=ROWS, group_rows=300, **options)[0]
    layout = Layout(extent)
    paged, other = layout.paged(0, "key"), layout.paged(1, "key")
    assert paged is not None and other is not None
    forged = PayloadExtent(extent.extent, extent.footer, extent.tail)
    content = bytearray(extent.tail)
    start, stop = int(paged.pages.offsets[2]), int(paged.pages.offsets[2] + paged.pages.sizes[2])
    content[start:stop] = bytes(stop - start)
    _PLACES[tier.uri.removeprefix("memory:")][extent.extent.key] = bytes(content)
    row = int(paged.pages.first_rows[2])
    plan = plan_thaw([forged], tier, RowSet.of([row]), ["key"], schema=table.schema)
    with small_context() as context, pytest.raises(PayloadCorruptError, match=extent.extent.key):
        list(run(plan, context))
