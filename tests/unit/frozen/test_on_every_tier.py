from __future__ import annotations

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esker.core.extent import ByteRange
from esker.errors import OptionError, PayloadCorruptError
from esker.frozen import FrozenCatalog, append
from esker.storage import TIERS, Tier, open_tier
from tests.servers import ministack, range_server, recall
from tests.unit.frozen.tools import context, files_of, frozen, hot_table, same

SALES = pa.table({"id": range(90), "month": sorted([1, 2, 3] * 30), "note": [f"row {row}" for row in range(90)]})
URIS = {
    "memory": "memory:{name}",
    "disk": "disk:{folder}",
    "ltfs": "ltfs:{folder}?device=lto9-fh&cartridge=64KiB&drives=2",
    "tape": "tape:{folder}?device=lto9-hh&cartridge=64KiB&drives=2",
}


def read_all(catalog: FrozenCatalog, tier: Tier) -> pa.Table:
    tables = []
    for part in catalog.extents:
        (data,) = tier.read(part.extent.key, [ByteRange(0, part.extent.bytes)])
        tables.append(pq.read_table(pa.BufferReader(data)).cast(catalog.schema))
    return pa.concat_tables(tables)


def uri_of(name, folder, request):
    if name == "s3":
        return range_server().uri(f"frozen/{abs(hash(folder))}")
    if name == "glacier":
        return ministack().uri(f"frozen/{abs(hash(folder))}")
    return URIS[name].format(name=request.node.name, folder=folder)


@pytest.mark.parametrize("name", list(TIERS))
def test_freeze_append_verify_and_read_back(name, tmp_path, request):
    uri = uri_of(name, tmp_path / "tier", request)
    target = tmp_path / "sales.esker"
    report = frozen(SALES, target, ["id"], open_tier(uri), split_by="month", extent_rows=20)
    assert report.extents == 6
    with context() as query:
        append(target, iter(SALES.to_batches()), context=query)
    recall(open_tier(uri))
    with FrozenCatalog.open(target) as catalog:
        assert same(read_all(catalog, catalog.tier), pa.concat_tables([SALES, SALES]))
        found = catalog.verify(deep=True)
        assert (found.files, found.objects) == (2, 12)
        assert found.bytes_read == catalog.payload_bytes + catalog.hot_bytes


@pytest.mark.parametrize("name", list(TIERS))
def test_a_missing_object_is_named(name, tmp_path, request):
    tier = open_tier(uri_of(name, tmp_path / "tier", request))
    frozen(SALES, tmp_path / "sales.esker", ["id"], tier, split_by="month")
    with FrozenCatalog.open(tmp_path / "sales.esker", tier=tier) as catalog:
        recall(tier)
        lost = catalog.extents[1].extent.key
        tier.delete(lost)
        with pytest.raises(PayloadCorruptError, match=lost):
            catalog.verify(deep=True)
        catalog.verify()


@pytest.mark.parametrize("name", [name for name in TIERS if "{folder}" in URIS.get(name, "")])
def test_a_tier_inside_the_folder_is_made_and_moves_with_it(name, tmp_path, request):
    target = tmp_path / "a.esker"
    frozen(SALES, target, ["id"], open_tier(uri_of(name, target / "payload", request)))
    target.rename(tmp_path / "b.esker")
    (tmp_path / "else").mkdir()
    shutil.move(tmp_path / "b.esker", tmp_path / "else" / "c.esker")
    with FrozenCatalog.open(tmp_path / "else" / "c.esker") as catalog:
        assert same(read_all(catalog, catalog.tier), SALES)
        assert len(hot_table(catalog, ["id"])[0]) == 90


def test_a_failed_freeze_with_the_tier_inside_leaves_nothing(tmp_path):
    def fail(batches, row_count, folder):
        raise ValueError("no")

    target = tmp_path / "a.esker"
    with pytest.raises(ValueError, match="no"):
        frozen(SALES, target, ["id"], open_tier(f"disk:{target}/payload"), index_builder=fail)
    assert list(tmp_path.iterdir()) == []
    tape = open_tier(f"tape:{target}/payload?cartridge=64KiB")
    with pytest.raises(ValueError, match="no"):
        frozen(SALES, target, ["id"], tape, index_builder=fail)
    assert not list(tape.list())
    # What was written to a tape stays on it; the same command works all the same.
    assert {name.split("/")[0] for name in files_of(target)} == {"payload"}
    frozen(SALES, target, ["id"], tape)
    with FrozenCatalog.open(target) as catalog:
        catalog.verify(deep=True)


def test_an_extent_that_no_cartridge_holds_is_refused_and_leaves_nothing(tmp_path):
    tier = open_tier(f"tape:{tmp_path}/tier?cartridge=2KiB")
    with pytest.raises(OptionError, match="cartridge"):
        frozen(SALES, tmp_path / "a.esker", ["id"], tier, extent_rows=90)
    assert not (tmp_path / "a.esker").exists()
    assert not list(tier.list())


def test_an_empty_data_set_needs_no_tier_folder(tmp_path):
    frozen(SALES.slice(0, 0), tmp_path / "a.esker", ["id"], open_tier(f"disk:{tmp_path}/none"))
    with FrozenCatalog.open(tmp_path / "a.esker") as catalog:
        assert list(catalog.tier.list()) == []
        catalog.verify(deep=True)
    with context() as query:
        append(tmp_path / "a.esker", iter(SALES.to_batches()), context=query)
    with FrozenCatalog.open(tmp_path / "a.esker") as catalog:
        assert same(read_all(catalog, catalog.tier), SALES)
