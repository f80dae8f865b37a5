from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esker.core.batch import cast_batch, plain_schema
from esker.core.clock import VirtualClock
from esker.core.context import QueryContext
from esker.errors import (
    CancelledError,
    InputFileError,
    LockedError,
    OptionError,
    OutputExistsError,
    SchemaMismatchError,
    UnknownColumnError,
    UnsupportedTypeError,
)
from esker.frozen import FrozenCatalog, append, freeze, rebuild_index
from esker.frozen.lock import writer_lock
from esker.storage.tiers.disk import DiskTier
from esker.testing import TYPES, streams
from tests.unit.frozen.tools import MEMORY_FOLDER, context, files_of, frozen, hot_table, payload_table, same

SALES = pa.table({"id": list(range(10)), "month": [1, 1, 1, 2, 2, 3, 3, 3, 3, 4], "note": list("abcdefghij")})
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(stream=streams(TYPES, rows_max=12), extent_rows=st.none() | st.integers(1, 9), row_group_rows=st.integers(1, 9))
def test_what_was_frozen_is_read_back_type_by_type(stream, extent_rows, row_group_rows):
    schema, batches = stream
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as folder:
        tier, target = DiskTier(Path(folder, "tier")), Path(folder, "x.esker")
        with context() as query:
            report = freeze(
                iter(batches),
                schema,
                target,
                hot_columns=[schema.names[-1]],
                tier=tier,
                context=query,
                extent_rows=extent_rows,
                row_group_rows=row_group_rows,
            )
        plain = plain_schema(schema)
        expected = pa.Table.from_batches([cast_batch(batch, plain) for batch in batches], plain)
        with FrozenCatalog.open(target, tier=tier) as catalog:
            ids, hot = hot_table(catalog, [schema.names[-1]])
            assert same(payload_table(catalog, tier), expected)
            assert same(hot, expected.select([schema.names[-1]]))
            assert ids == list(range(len(expected)))
            assert catalog.row_count == report.rows == len(expected)
            assert report.extents == len(catalog.extents) == math.ceil(len(expected) / (extent_rows or 1 << 30))
            catalog.verify(deep=True)


def test_the_report_states_what_lies_where(tmp_path):
    tier = DiskTier(tmp_path / "tier")
    report = frozen(SALES, tmp_path / "sales.esker", ["id"], tier)
    with FrozenCatalog.open(tmp_path / "sales.esker") as catalog:
        assert report.payload_bytes == catalog.payload_bytes == sum(s.bytes for s in tier.list("sales/"))
        assert report.hot_bytes == catalog.hot_bytes == sum(p.stat().st_size for p in catalog.folder.glob("keys/*"))
        assert report.ratio == catalog.ratio == report.payload_bytes / report.hot_bytes
        assert (report.cost.bytes, report.cost.requests) == (report.payload_bytes, 1)
        assert report.to_json()["rows"] == 10


def test_split_by_gives_each_value_an_extent(tmp_path):
    frozen(SALES, tmp_path / "s.esker", ["id"], split_by="month")
    with FrozenCatalog.open(tmp_path / "s.esker") as catalog:
        assert [extent.extent.row_count for extent in catalog.extents] == [3, 2, 4, 1]


def test_extent_rows_cuts_within_a_value_too(tmp_path):
    frozen(SALES, tmp_path / "s.esker", ["id"], split_by="month", extent_rows=3)
    with FrozenCatalog.open(tmp_path / "s.esker") as catalog:
        assert [extent.extent.row_count for extent in catalog.extents] == [3, 2, 3, 1, 1]


def test_extents_grow_to_what_a_cartridge_holds(tmp_path):
    from dataclasses import replace

    from esker.core.seeded import generator

    tier = DiskTier(tmp_path / "tier")
    tier.device = replace(tier.device, capacity_bytes=1 << 20)
    wide = pa.table({"id": range(4000), "pad": [generator(1, row).bytes(1000) for row in range(4000)]})
    frozen(wide, tmp_path / "s.esker", ["id"], tier)
    sizes = [stored.bytes for stored in tier.list("s/")]
    assert max(sizes) <= (1 << 20) * 3 // 4
    assert min(sizes[:-1]) > (1 << 20) // 3, "extents are not needlessly small"


def test_order_by_sorts_all_rows_before_they_get_ids(tmp_path):
    shuffled = SALES.take([9, 2, 5, 0, 7, 1, 8, 3, 6, 4])
    tier = DiskTier(tmp_path / "tier")
    frozen(shuffled, tmp_path / "s.esker", ["id"], tier, order_by=["month", "id"], split_by="month")
    with FrozenCatalog.open(tmp_path / "s.esker") as catalog:
        assert same(payload_table(catalog, tier), SALES)
        assert len(catalog.extents) == 4


def test_the_payload_keeps_all_columns_and_statistics_of_hot_ones_only(tmp_path):
    tier = DiskTier(tmp_path / "tier")
    frozen(SALES, tmp_path / "s.esker", ["month"], tier)
    (stored,) = tier.list("s/")
    file = pq.ParquetFile(tier.folder / stored.key)
    assert file.schema_arrow.names == SALES.column_names
    columns = [file.metadata.row_group(0).column(number) for number in range(3)]
    assert [column.is_stats_set for column in columns] == [False, True, False]
    assert all(column.has_offset_index for column in columns)


def test_nothing_but_the_data_set_is_left(tmp_path):
    frozen(SALES, tmp_path / "s.esker", ["id"])
    with FrozenCatalog.open(tmp_path / "s.esker") as catalog:
        (part,) = catalog.parts
    assert files_of(tmp_path / "s.esker") == {"catalog.db", f"keys/{part.file}"}


def test_an_empty_input_makes_an_empty_data_set(tmp_path):
    tier = DiskTier(tmp_path / "tier")
    report = frozen(SALES.slice(0, 0), tmp_path / "s.esker", ["id"], tier)
    assert (report.rows, report.extents, report.ratio) == (0, 0, 0.0)
    with FrozenCatalog.open(tmp_path / "s.esker", tier=tier) as catalog:
        assert (catalog.row_count, hot_table(catalog, ["id"])[0]) == (0, [])
        catalog.verify(deep=True)


def test_append_adds_rows_and_rewrites_nothing(tmp_path):
    tier, target = DiskTier(tmp_path / "tier"), tmp_path / "s.esker"
    frozen(SALES, target, ["id"], tier, split_by="month")
    before = {path: path.read_bytes() for path in [*tier.folder.rglob("*.parquet"), *target.glob("keys/*")]}
    with context() as query:
        report = append(target, iter(SALES.to_batches()), context=query, tier=tier)
    assert (report.rows, report.extents, report.row_count) == (10, 4, 20)
    assert all(path.read_bytes() == content for path, content in before.items())
    with FrozenCatalog.open(target, tier=tier) as catalog:
        assert same(payload_table(catalog, tier), pa.concat_tables([SALES, SALES]))
        assert hot_table(catalog, ["id"])[1]["id"].to_pylist() == [*range(10), *range(10)]
        assert [extent.extent.first_row for extent in catalog.extents] == [0, 3, 5, 9, 10, 13, 15, 19]
        catalog.verify(deep=True)


def test_an_append_of_no_rows_changes_nothing(tmp_path):
    target = tmp_path / "s.esker"
    tier = DiskTier(tmp_path / "tier")
    frozen(SALES, target, ["id"], tier)
    with context() as query:
        assert append(target, iter(()), context=query, tier=tier).rows == 0
    with FrozenCatalog.open(target) as catalog:
        assert (catalog.row_count, len(catalog.parts), len(catalog.extents)) == (10, 1, 1)


class Segment:
    column, kind, spec = "id", "equality", {"kind": "equality"}

    def __init__(self, file, content):
        self.file, self.bytes, self.checksum = file, len(content), "crc32:00000000"


def listing(seen):
    """An index builder that writes the rows it saw as text."""

    def build(batches, row_count, folder):
        ids = [value for batch in batches for value in batch["id"].to_pylist()]
        assert len(ids) == row_count
        seen.append(ids)
        content = repr(ids).encode()
        (folder / f"id.{len(seen)}.seg").write_bytes(content)
        return [Segment(f"id.{len(seen)}.seg", content)]

    return build


def test_an_append_swaps_the_index_for_one_of_all_rows(tmp_path):
    tier, target, seen = DiskTier(tmp_path / "tier"), tmp_path / "s.esker", []
    frozen(SALES, target, ["id"], tier, index_builder=listing(seen))
    with context() as query:
        append(target, iter(SALES.to_batches()), context=query, tier=tier, index_builder=listing(seen))
    assert seen == [list(range(10)), [*range(10), *range(10)]]
    with FrozenCatalog.open(target) as catalog:
        assert [segment.file for segment in catalog.segments] == ["id.2.seg"]
        assert [path.name for path in catalog.index_folder.iterdir()] == ["id.2.seg"]
        assert catalog.segments[0].spec == {"kind": "equality"}


def test_an_open_reader_keeps_the_files_it_may_still_read(tmp_path):
    tier, target, seen = DiskTier(tmp_path / "tier"), tmp_path / "s.esker", []
    frozen(SALES, target, ["id"], tier, index_builder=listing(seen))
    with FrozenCatalog.open(target) as reader:
        with context() as query:
            append(target, iter(SALES.to_batches()), context=query, tier=tier, index_builder=listing(seen))
        assert reader.row_count == 10
        assert (reader.index_folder / reader.segments[0].file).exists()
        assert len(hot_table(reader, ["id"])[0]) == 10
    with context() as query:
        rebuild_index(target, listing(seen), context=query, tier=tier)
    assert files_of(target / "index") == {"id.3.seg"}


def test_an_append_to_an_indexed_data_set_needs_the_builder(tmp_path):
    target = tmp_path / "s.esker"
    frozen(SALES, target, ["id"], index_builder=listing([]))
    with context() as query, pytest.raises(OptionError, match="index on id"):
        append(target, iter(SALES.to_batches()), context=query)


def test_a_tier_inside_the_folder_moves_with_it(tmp_path):
    (tmp_path / "a.esker").mkdir()
    frozen(SALES, tmp_path / "a.esker", ["id"], DiskTier(tmp_path / "a.esker" / "payload"))
    (tmp_path / "a.esker").rename(tmp_path / "b.esker")
    with FrozenCatalog.open(tmp_path / "b.esker") as catalog:
        assert catalog.tier_uri == f"disk:{tmp_path}/b.esker/payload"
        assert same(payload_table(catalog, DiskTier(tmp_path / "b.esker" / "payload")), SALES)


def test_two_data_sets_may_share_a_tier_and_a_prefix(tmp_path):
    tier = DiskTier(tmp_path / "tier")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        frozen(SALES, tmp_path / folder / "s.esker", ["id"], tier)
    with pytest.raises(ValueError, match="fell over"):
        frozen(SALES, tmp_path / "one" / "t.esker", ["id"], tier, payload_prefix="s", index_builder=fails)
    for folder in ("one", "two"):
        with FrozenCatalog.open(tmp_path / folder / "s.esker", tier=tier) as catalog:
            catalog.verify(deep=True)
    assert len(list(tier.list())) == 2


def fails(batches, row_count, folder):
    (folder / "half.seg").write_bytes(b"half")
    raise ValueError("the builder fell over")


def test_a_freeze_that_fails_leaves_nothing(tmp_path):
    tier = DiskTier(tmp_path / "tier")
    with pytest.raises(ValueError, match="fell over"):
        frozen(SALES, tmp_path / "s.esker", ["id"], tier, index_builder=fails)
    assert not (tmp_path / "s.esker").exists()
    assert not list(tier.list())


def test_an_append_that_fails_leaves_the_state_before(tmp_path):
    tier, target = DiskTier(tmp_path / "tier"), tmp_path / "s.esker"
    frozen(SALES, target, ["id"], tier)
    before = files_of(tmp_path)
    with context() as query, pytest.raises(ValueError, match="fell over"):
        append(target, iter(SALES.to_batches()), context=query, tier=tier, index_builder=fails)
    assert files_of(tmp_path) == before
    with FrozenCatalog.open(target, tier=tier) as catalog:
        assert catalog.row_count == 10
        catalog.verify(deep=True)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, CancelledError])
def test_a_stop_in_the_middle_of_the_input_leaves_nothing(tmp_path, stop):
    def batches():
        yield from SALES.to_batches()
        raise stop

    tier = DiskTier(tmp_path / "tier")
    with context() as query, pytest.raises(stop):
        freeze(
            batches(),
            SALES.schema,
            tmp_path / "s.esker",
            hot_columns=["id"],
            tier=tier,
            context=query,
            extent_rows=2,
            order_by=["month"],
        )
    assert files_of(tmp_path) == set()
    assert not (tmp_path / "s.esker").exists()


def test_a_cancelled_context_stops_before_the_commit(tmp_path):
    query = context()

    def build(batches, row_count, folder):
        query.cancellation.cancel("enough")
        return []

    with query, pytest.raises(CancelledError):
        freeze(
            iter(SALES.to_batches()),
            SALES.schema,
            tmp_path / "s.esker",
            hot_columns=["id"],
            tier=DiskTier(tmp_path / "tier"),
            context=query,
            index_builder=build,
        )
    assert not (tmp_path / "s.esker").exists()


def test_a_folder_with_other_things_is_not_frozen_into(tmp_path):
    (tmp_path / "s.esker").mkdir()
    (tmp_path / "s.esker" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"thesis\.txt"):
        frozen(SALES, tmp_path / "s.esker", ["id"])
    assert files_of(tmp_path / "s.esker") == {"thesis.txt"}


def test_a_data_set_is_not_frozen_over(tmp_path):
    frozen(SALES, tmp_path / "s.esker", ["id"])
    before = files_of(tmp_path)
    with pytest.raises(OutputExistsError, match="append"):
        frozen(SALES, tmp_path / "s.esker", ["id"])
    assert files_of(tmp_path) == before


def test_only_one_writes_at_a_time(tmp_path):
    frozen(SALES, tmp_path / "s.esker", ["id"])
    with writer_lock(tmp_path / "s.esker"), context() as query:
        with pytest.raises(LockedError, match="another process") as raised:
            append(tmp_path / "s.esker", iter(SALES.to_batches()), context=query)
    assert raised.value.temporary


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"hot_columns": ["mnth"]}, UnknownColumnError, "did you mean 'month'"),
        ({"hot_columns": []}, OptionError, "at least one hot column"),
        ({"order_by": ["idd"]}, UnknownColumnError, "'id'"),
        ({"split_by": "idd"}, UnknownColumnError, "'id'"),
        ({"extent_rows": 0}, OptionError, "extent_rows=0"),
        ({"row_group_rows": -1}, OptionError, "row_group_rows=-1"),
        ({"payload_prefix": "../up"}, OptionError, "payload_prefix"),
        ({"payload_prefix": "/up"}, OptionError, "payload_prefix"),
    ],
)
def test_wrong_options_are_named_before_anything_is_written(tmp_path, options, error, words):
    hot_columns = options.pop("hot_columns", ["id"])
    with pytest.raises(error, match=words):
        frozen(SALES, tmp_path / "s.esker", hot_columns, **options)
    assert files_of(tmp_path) == set()


def test_a_target_without_a_parent_folder_is_named(tmp_path):
    with pytest.raises(InputFileError, match="no folder"):
        frozen(SALES, tmp_path / "no" / "such" / "s.esker", ["id"], DiskTier(tmp_path / "tier"))


def test_types_that_parquet_lacks_and_nested_keys_are_named(tmp_path):
    odd = pa.table({"id": [1], "when": pa.array([None], pa.month_day_nano_interval())})
    with pytest.raises(UnsupportedTypeError, match="'when'"):
        frozen(odd, tmp_path / "s.esker", ["id"])
    nested = pa.table({"id": [1], "tags": [["a"]]})
    with pytest.raises(UnsupportedTypeError, match=r"'tags'.*cannot be hot"):
        frozen(nested, tmp_path / "s.esker", ["tags"])
    with pytest.raises(UnsupportedTypeError, match="order_by='tags'"):
        frozen(nested, tmp_path / "s.esker", ["id"], order_by=["tags"])
    tier = DiskTier(tmp_path / "tier")
    frozen(nested, tmp_path / "s.esker", ["id"], tier)
    with FrozenCatalog.open(tmp_path / "s.esker") as catalog:
        assert same(payload_table(catalog, tier), nested)


def test_batches_that_differ_from_the_schema_are_named(tmp_path):
    other = pa.table({"id": ["1"], "month": [1], "note": ["a"]})
    required = pa.schema([pa.field("id", pa.int64(), nullable=False)])
    cases = [
        (SALES.schema, other, "'id' of a batch is string"),
        (SALES.schema, SALES.select(["id"]), "has the columns id"),
        (required, pa.table({"id": pa.array([1, None], pa.int64())}), "has nulls"),
    ]
    for schema, table, words in cases:
        with QueryContext() as query, pytest.raises(SchemaMismatchError, match=words):
            freeze(
                iter(table.to_batches()),
                schema,
                tmp_path / "s.esker",
                hot_columns=["id"],
                tier=DiskTier(tmp_path / "tier"),
                context=query,
            )
        assert files_of(tmp_path) == set()


def test_a_split_by_that_makes_tiny_extents_is_refused(tmp_path):
    tier = DiskTier(tmp_path / "tier")
    ids = pa.table({"id": range(5000)})
    with pytest.raises(OptionError, match="split_by='id' would make an extent of 1"):
        frozen(ids, tmp_path / "s.esker", ["id"], tier, split_by="id")
    assert not list(tier.list())


def test_the_time_of_freezing_comes_from_the_clock(tmp_path):
    frozen(SALES, tmp_path / "s.esker", ["id"], clock=VirtualClock(86_400.5))
    with FrozenCatalog.open(tmp_path / "s.esker") as catalog:
        assert catalog.created_seconds == 86_400.5
