from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import apsw
import pyarrow as pa
import pytest

from esker.core.seeded import generator
from esker.errors import CatalogCorruptError, EskerError, InputFileError, PayloadCorruptError
from esker.frozen import FrozenCatalog, append
from esker.frozen.catalog_file import seal
from esker.frozen.location import network_type
from esker.storage.tiers.disk import DiskTier
from tests.unit.frozen.test_freeze import Segment
from tests.unit.frozen.tools import context, files_of, frozen, hot_table

SALES = pa.table({"id": range(300), "month": sorted([1, 2, 3] * 100), "note": [f"row {row}" for row in range(300)]})


def build(batches, row_count, folder):
    (folder / "id.seg").write_bytes(b"vectors")
    return [Segment("id.seg", b"vectors")]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    frozen(SALES, folder / "s.esker", ["id", "month"], DiskTier(folder / "tier"), split_by="month")
    with context() as query:
        append(
            folder / "s.esker",
            iter(SALES.to_batches()),
            context=query,
            tier=DiskTier(folder / "tier"),
            index_builder=build,
        )
    return folder


@pytest.fixture
def copy(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def everything(folder: Path) -> str:
    """All that a catalogue and its files say, read the way a query would."""
    with FrozenCatalog.open(folder / "s.esker", tier=DiskTier(folder / "tier")) as catalog:
        rows = hot_table(catalog, ["month", "id"])
        footers = [frozen.footer.num_row_groups for frozen in catalog.extents]
        return repr((catalog._contents, catalog.tier_uri.partition(":")[0], footers, rows[0], rows[1].to_pydict()))


def change(folder: Path, *statements: str, sealed: bool = False) -> None:
    """Damage the catalogue as a program would; `sealed` as one that knows of the seal."""
    connection = apsw.Connection(str(folder / "s.esker" / "catalog.db"))
    for statement in statements:
        connection.execute(statement)
    if sealed:
        from esker.frozen import catalog_file as names

        dataset = next(connection.execute(names._READ_DATASET))
        rows = [list(connection.execute(q)) for q in (names._READ_PARTS, names._READ_EXTENTS, names._READ_SEGMENTS)]
        connection.execute("UPDATE dataset SET seal = ?", (seal(dataset[:-1], *rows),))
    connection.close()


def test_a_catalogue_says_where_every_row_lies(made):
    with FrozenCatalog.open(made / "s.esker") as catalog:
        assert (catalog.name, catalog.row_count, catalog.hot_columns) == ("s", 600, {"id", "month"})
        assert catalog.schema == SALES.schema
        assert catalog.hot_schema.names == ["id", "month"]
        assert [(e.extent.first_row, e.extent.row_count) for e in catalog.extents] == [
            (r, 100) for r in range(0, 600, 100)
        ]
        assert [(part.first_row, part.row_count) for part in catalog.parts] == [(0, 300), (300, 300)]
        assert [segment.column for segment in catalog.segments] == ["id"]
        assert catalog.options["split_by"] == "month"
        assert catalog.tier_uri == f"disk:{made}/tier"
        assert "600 rows" in repr(catalog)


def test_reading_leaves_no_trace(copy):
    before = {name: (copy / name).stat().st_mtime_ns for name in files_of(copy)}
    everything(copy)
    assert {name: (copy / name).stat().st_mtime_ns for name in files_of(copy)} == before


def test_any_damaged_byte_of_the_catalogue_is_detected_or_does_not_matter(copy):
    """Flips bytes over the whole database; what opens says exactly what was written."""
    database = copy / "s.esker" / "catalog.db"
    good, expected = database.read_bytes(), everything(copy)
    chance = generator(11)
    detected = 0
    # All of the first page's header and structure, then places all over.
    places = [*range(120), *(int(place) for place in chance.integers(0, len(good), 250))]
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1 << int(chance.integers(0, 8))
        database.write_bytes(bad)
        try:
            found = everything(copy)
        except EskerError as error:
            detected += 1
            assert "catalog.db" in str(error) or "catalogue" in str(error) or "keys" in str(error), error
        else:
            assert found == expected, f"byte {place}"
    assert detected > len(places) // 10


@pytest.mark.parametrize("kept", [0, 1, 99, 100, 4096, 10_000])
def test_a_truncated_catalogue_is_named(copy, kept):
    database = copy / "s.esker" / "catalog.db"
    database.write_bytes(database.read_bytes()[:kept])
    with pytest.raises((CatalogCorruptError, InputFileError), match="catalog.db|not finished"):
        everything(copy)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE dataset SET row_count = 601", "hold 600 rows, the data set 601"),
        ("UPDATE part SET first_row = 301 WHERE first_row = 300", "expected row 300"),
        ("DELETE FROM extent WHERE first_row = 100", "expected row 100"),
        ("UPDATE part SET row_count = -300 WHERE first_row = 300", "do not follow one another"),
        ("UPDATE part SET file = '../../secret.parquet' WHERE first_row = 0", "not a plain relative path"),
        ("UPDATE part SET file = '/etc/passwd' WHERE first_row = 0", "not a plain relative path"),
        ("UPDATE extent SET key = '../x' WHERE first_row = 0", "not a plain relative path"),
        ("UPDATE segment SET file = '..'", "not a plain relative path"),
        ("UPDATE segment SET column_name = 'note'", "of no hot column"),
        ("UPDATE dataset SET hot_columns = '[\"nope\"]'", "nope"),
        ("UPDATE dataset SET arrow_schema = x'00112233'", "Arrow schema cannot be read"),
        ("UPDATE extent SET checksum = 'none' WHERE first_row = 0", "not a checksum"),
        ("UPDATE dataset SET options = '{'", "damaged"),
        ("DROP TABLE segment; CREATE TABLE segment (a, b, c, d, e, f)", "damaged"),
    ],
)
def test_records_that_contradict_one_another_are_refused_even_when_sealed(copy, statement, words):
    change(copy, statement, sealed="TABLE" not in statement)
    with pytest.raises(CatalogCorruptError, match=words):
        everything(copy)


def test_a_record_changed_without_its_seal_is_detected(copy):
    change(copy, "UPDATE extent SET bytes = bytes + 1 WHERE first_row = 0")
    with pytest.raises(CatalogCorruptError, match=r"catalog\.db is damaged.*seal"):
        everything(copy)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE extent SET footer = zeroblob(length(footer)) WHERE first_row = 100",
        "UPDATE extent SET footer = x'' WHERE first_row = 100",
        "UPDATE extent SET footer = (SELECT footer FROM extent WHERE first_row = 0) WHERE first_row = 100",
    ],
)
def test_a_damaged_footer_names_its_extent(copy, statement):
    change(copy, statement)
    with FrozenCatalog.open(copy / "s.esker", tier=DiskTier(copy / "tier")) as catalog:
        assert catalog.extents[0].footer.num_rows == 100
        with pytest.raises(CatalogCorruptError, match="part-00001"):
            catalog.extents[1].footer  # noqa: B018
        with pytest.raises(PayloadCorruptError, match="part-00001"):
            catalog.verify()


def test_a_newer_format_is_not_guessed_at(copy):
    change(copy, "PRAGMA user_version = 2")
    with pytest.raises(CatalogCorruptError, match="format version 2; this Esker reads version 1"):
        FrozenCatalog.open(copy / "s.esker")


def test_another_programs_database_is_left_alone(tmp_path):
    target = tmp_path / "s.esker"
    target.mkdir()
    connection = apsw.Connection(str(target / "catalog.db"))
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    before = (target / "catalog.db").read_bytes()
    with pytest.raises(InputFileError, match="not the catalogue of a frozen data set"):
        FrozenCatalog.open(target)
    with pytest.raises(InputFileError, match="not the catalogue of a frozen data set"):
        frozen(SALES, target, ["id"])
    assert (target / "catalog.db").read_bytes() == before


def test_what_is_no_frozen_data_set_is_said_so(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, words in (("none", "no such folder"), ("file", "is a file"), ("empty", "has no catalog.db")):
        with pytest.raises(InputFileError, match=words):
            FrozenCatalog.open(tmp_path / name)


def test_a_missing_or_resized_key_file_is_named(copy):
    part = sorted((copy / "s.esker" / "keys").iterdir())[1]
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    with pytest.raises(PayloadCorruptError, match=f"{part.name} has .* bytes; the catalogue says"):
        FrozenCatalog.open(copy / "s.esker")
    part.unlink()
    with pytest.raises(PayloadCorruptError, match=f"{part.name} is missing"):
        FrozenCatalog.open(copy / "s.esker")
    part.symlink_to("/etc/hostname")
    with pytest.raises(PayloadCorruptError, match=f"{part.name} is missing"):
        FrozenCatalog.open(copy / "s.esker")


def test_any_damaged_byte_of_a_key_file_is_detected_when_read(copy):
    part = sorted((copy / "s.esker" / "keys").iterdir())[0]
    good, expected = part.read_bytes(), everything(copy)
    chance = generator(12)
    for place in [*range(40), *(int(place) for place in chance.integers(0, len(good), 150))]:
        bad = bytearray(good)
        bad[place] ^= 1 << int(chance.integers(0, 8))
        part.write_bytes(bad)
        try:
            # Bytes that no read of rows needs (page indexes, the leading magic) are for `verify` to find.
            assert everything(copy) == expected, f"byte {place}"
        except PayloadCorruptError as error:
            assert part.name in str(error)
        with FrozenCatalog.open(copy / "s.esker", tier=DiskTier(copy / "tier")) as catalog:
            with pytest.raises(PayloadCorruptError, match=part.name):
                catalog.verify(deep=True)


def test_verify_names_every_damaged_file_and_object(copy):
    tier = DiskTier(copy / "tier")
    objects = [stored.key for stored in tier.list()]
    flipped = bytearray((tier.folder / objects[2]).read_bytes())
    flipped[100] ^= 4
    (tier.folder / objects[2]).write_bytes(flipped)
    (tier.folder / objects[4]).unlink()
    segment = copy / "s.esker" / "index" / "id.seg"
    segment.write_bytes(b"Vectors")
    with FrozenCatalog.open(copy / "s.esker", tier=tier) as catalog:
        catalog.verify()
        with pytest.raises(PayloadCorruptError) as raised:
            catalog.verify(deep=True)
    for name in (objects[2], objects[4], "id.seg"):
        assert name in str(raised.value)


def test_a_missing_tier_folder_is_named_and_not_made_anew(copy):
    shutil.rmtree(copy / "tier")
    change(copy, f"UPDATE dataset SET tier_uri = 'disk:{copy}/tier'", sealed=True)
    with FrozenCatalog.open(copy / "s.esker") as catalog:
        assert len(hot_table(catalog, ["id"])[0]) == 600, "keys need no tier"
        with pytest.raises(InputFileError, match=f"payload of s should lie in {copy}/tier"):
            catalog.tier  # noqa: B018
    assert not (copy / "tier").exists()


def test_a_folder_that_cannot_be_written_can_be_read(copy):
    expected = everything(copy)
    target = copy / "s.esker"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [target, *target.rglob("*")]}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert everything(copy) == expected
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_network_file_system_is_told_by_its_mount(tmp_path, monkeypatch):
    mounts = tmp_path / "mountinfo"
    lines = [
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw",
        "23 22 0:40 / /mnt/team\\040share rw - nfs4 server:/x rw",
        "24 23 8:2 / /mnt/team\\040share/local rw - xfs /dev/sdb rw",
        "25 22 0:41 / /mnt/ssh rw - fuse.sshfs me@there: rw",
        "26 22 0:42 / /mnt/overlay rw - fuse.overlayfs o rw",
    ]
    mounts.write_text("\n".join(lines) + "\n")
    found = {
        path: network_type(Path(path), mounts)
        for path in ("/home", "/mnt/team share/a", "/mnt/team share/local/a", "/mnt/ssh", "/mnt/overlay/a", "/mnt")
    }
    assert found == {
        "/home": None,
        "/mnt/team share/a": "nfs4",
        "/mnt/team share/local/a": None,
        "/mnt/ssh": "fuse.sshfs",
        "/mnt/overlay/a": None,
        "/mnt": None,
    }


def test_a_network_file_system_is_refused_for_writing_and_read_without_locks(copy, monkeypatch):
    expected = everything(copy)
    monkeypatch.setattr("esker.frozen.location.network_type", lambda *_: "nfs4")
    monkeypatch.setattr("esker.frozen.catalog.network_type", lambda *_: "nfs4")
    with pytest.raises(InputFileError, match=r"network file system \(nfs4\)"):
        frozen(SALES, copy / "t.esker", ["id"])
    with context() as query, pytest.raises(InputFileError, match="network file system"):
        append(copy / "s.esker", iter(()), context=query)
    assert everything(copy) == expected


def test_a_closed_catalogue_can_be_closed_again(copy):
    catalog = FrozenCatalog.open(copy / "s.esker")
    catalog.close()
    catalog.close()


def test_the_options_of_a_freeze_are_plain_json(made):
    with FrozenCatalog.open(made / "s.esker") as catalog:
        assert json.loads(json.dumps(dict(catalog.options)))["row_group_rows"] == 32_768
