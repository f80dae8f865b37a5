"""What every file format owes, whatever it is: run once for each entry of the family's table."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from esker.core.batch import plain_schema
from esker.core.file_system import FileSystem
from esker.errors import (
    InputFileError,
    OptionError,
    OutputExistsError,
    OutputFileError,
    SchemaMismatchError,
    UnknownColumnError,
)
from esker.formats import FORMATS, open_files, open_writer
from esker.testing import FLOATS, INTEGERS, STRINGS, TEMPORAL, TYPES, VIEWS, streams

pytestmark = pytest.mark.parametrize("name", list(FORMATS))

# CSV is text: these types are told apart by a schema, and have a text that is read as the same value.
_CSV_TYPES = (
    pa.bool_(),
    *INTEGERS,
    *FLOATS,
    *STRINGS,
    *(type_ for type_ in TEMPORAL if pa.types.is_date(type_) or pa.types.is_time(type_)),
    *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
    pa.decimal128(18, 3),
)
# Parquet has neither seconds nor dates in milliseconds.
_PARQUET_TYPES = {
    **{pa.timestamp("s", zone): pa.timestamp("ms", zone) for zone in (None, "UTC", "Europe/Berlin")},
    pa.time32("s"): pa.time32("ms"),
    pa.date64(): pa.date32(),
}

TABLE = pa.table({"n": [1, 2, None, 4], "s": ["a", "", None, "long" * 40], "b": [True, None, False, True]})


def extension(name: str) -> str:
    return FORMATS[name].extensions[0]


def write(path: Path, table: pa.Table, **options: object) -> Path:
    with open_writer(path, table.schema, **options) as writer:
        for batch in table.to_batches():
            writer.write(batch)
    return path


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path: Path, name: str) -> Path:
    return tmp_path / f"rows{extension(name)}"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rows_come_back_as_they_were_written(data: st.DataObject, path: Path, name: str) -> None:
    schema, batches = data.draw(streams(_CSV_TYPES if name == "csv" else (*TYPES, *VIEWS)))
    with open_writer(path, schema, overwrite=True) as writer:
        for batch in batches:
            writer.write(batch)
    written = pa.Table.from_batches(batches, schema=schema)
    source = open_files(path, **({"schema": schema} if name == "csv" else {}))
    read = pa.Table.from_batches(source.batches(batch_rows=7), schema=source.schema)
    expected = plain_schema(schema)
    if name == "parquet":
        expected = pa.schema([field.with_type(_PARQUET_TYPES.get(field.type, field.type)) for field in expected])
    assert read.schema.equals(expected)
    assert same(read, written.cast(expected))
    assert writer.rows == written.num_rows
    assert writer.bytes == path.stat().st_size
    assert source.row_count in (None, written.num_rows)


def same(left: pa.Table, right: pa.Table) -> bool:
    """Equal values; NaN is itself, which pa.Table.equals denies."""
    return all(
        one.equals(other) or (pa.types.is_floating(one.type) and repr(one.to_pylist()) == repr(other.to_pylist()))
        for one, other in zip(left.combine_chunks().columns, right.combine_chunks().columns, strict=True)
    )


def test_columns_come_in_the_order_asked_for(path: Path, name: str) -> None:
    source = open_files(write(path, TABLE))
    (batch,) = source.batches(["b", "n"])
    assert batch.schema.names == ["b", "n"]
    assert batch.column("n").to_pylist() == [1, 2, None, 4]


def test_no_columns_still_count_rows(path: Path, name: str) -> None:
    source = open_files(write(path, TABLE))
    assert sum(batch.num_rows for batch in source.batches([])) == 4


def test_batches_are_no_longer_than_asked(path: Path, name: str) -> None:
    source = open_files(write(path, TABLE))
    assert [batch.num_rows for batch in source.batches(batch_rows=3)] == [3, 1]


def test_an_empty_table_keeps_its_columns(path: Path, name: str) -> None:
    source = open_files(write(path, TABLE.slice(0, 0)))
    assert source.schema.names == ["n", "s", "b"]
    assert list(source.batches()) == []


def test_views_and_dictionaries_are_written_as_their_values(path: Path, name: str) -> None:
    table = pa.table({"v": pa.array(["a", None], pa.string_view()), "d": pa.array(["x", "y"]).dictionary_encode()})
    source = open_files(write(path, table))
    assert source.schema.types == [pa.string(), pa.string()]
    assert [batch.to_pydict() for batch in source.batches()] == [{"v": ["a", None], "d": ["x", "y"]}]


def test_files_follow_one_another_in_sorted_order(tmp_path: Path, name: str) -> None:
    for number in (2, 0, 1):
        write(tmp_path / f"part-{number}{extension(name)}", pa.table({"n": [number * 10, number * 10 + 1]}))
    for where in (tmp_path, f"{tmp_path}/part-*"):
        source = open_files(where)
        assert [value for batch in source.batches() for value in batch.column("n").to_pylist()] == [
            0,
            1,
            10,
            11,
            20,
            21,
        ]
        assert [fragment.index for fragment in source.fragments] == [0, 1, 2]
        assert [fragment.first_row for fragment in source.fragments] in ([0, 2, 4], [0, None, None])


def test_files_with_other_columns_are_refused_by_name(tmp_path: Path, name: str) -> None:
    write(tmp_path / f"a{extension(name)}", pa.table({"n": [1], "s": ["x"]}))
    write(tmp_path / f"b{extension(name)}", pa.table({"n": [1], "t": ["x"]}))
    with pytest.raises(SchemaMismatchError, match=r"b\.\w+ has .*'?[ts]'?"):
        open_files(tmp_path)


def test_an_unknown_column_names_the_nearest(path: Path, name: str) -> None:
    source = open_files(write(path, pa.table({"tailnum": ["x"]})))
    with pytest.raises(UnknownColumnError, match="did you mean 'tailnum'"):
        next(source.batches(["tailnmu"]))


def test_byte_ranges_lie_in_the_file(path: Path, name: str) -> None:
    source = open_files(write(path, TABLE))
    for fragment in source.fragments:
        ranges = source.byte_ranges(fragment, ["s"])
        assert ranges
        assert all(0 <= found.start < found.stop <= path.stat().st_size for found in ranges)


def test_an_existing_file_is_not_overwritten_unless_asked(path: Path, name: str) -> None:
    write(path, TABLE)
    before = path.read_bytes()
    with pytest.raises(OutputExistsError):
        write(path, TABLE.slice(1))
    assert path.read_bytes() == before
    write(path, TABLE.slice(1), overwrite=True)
    assert sum(batch.num_rows for batch in open_files(path).batches()) == 3


def test_an_error_in_the_block_leaves_nothing(path: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        with open_writer(path, TABLE.schema) as writer:
            writer.write(TABLE.to_batches()[0])
            raise KeyboardInterrupt
    assert left_over(path.parent) == []


def test_a_batch_of_another_schema_is_refused_by_column(path: Path, name: str) -> None:
    with pytest.raises(SchemaMismatchError, match="'n'"):
        with open_writer(path, TABLE.schema) as writer:
            writer.write(pa.record_batch({"n": ["x"], "s": ["x"], "b": [True]}))
    assert left_over(path.parent) == []


class FullFile:
    """A file on a device that is full after so many bytes."""

    def __init__(self, file: BinaryIO, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


class FullFileSystem(FileSystem):
    """Every file may take `room` bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def open_new(self, path: Path) -> BinaryIO:
        return FullFile(super().open_new(path), self.room)  # type: ignore[return-value]


@pytest.mark.parametrize("room", [0, 10, 200, 3000])
def test_a_full_disk_is_named_and_leaves_nothing(path: Path, name: str, room: int) -> None:
    table = pa.table({"n": list(range(20_000))})
    with pytest.raises(OutputFileError, match=r"rows\.\w+: No space left"):
        write(path, table, file_system=FullFileSystem(room))
    assert left_over(path.parent) == []


def test_a_missing_folder_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputFileError, match="there is no folder"):
        write(tmp_path / "nowhere" / f"rows{extension(name)}", TABLE)


def test_an_unknown_option_is_refused_by_name(path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="no option 'row_groups'"):
        open_writer(path, TABLE.schema, row_groups=3)
    write(path, TABLE)
    with pytest.raises(OptionError, match="no option 'separator'"):
        open_files(path, separator=";")


def damages(data: bytes) -> Iterator[bytes]:
    yield b""
    yield data[: len(data) // 2]
    yield bytes(255 - byte for byte in data)
    yield b"\x00" * len(data)


@pytest.mark.parametrize("damage", range(4))
def test_a_damaged_file_is_named_or_read_in_full(path: Path, name: str, damage: int) -> None:
    """A cut CSV cannot be told from a short one; nothing else may pass, and no error but ours may come out."""
    write(path, pa.table({"n": list(range(1000)), "s": [f"é{number}" for number in range(1000)]}))
    path.write_bytes(list(damages(path.read_bytes()))[damage])
    if name == "csv" and damage in (1, 3):
        return
    with pytest.raises(InputFileError, match=r"rows\.\w+"):
        list(open_files(path).batches())


def test_a_file_that_changes_after_opening_is_refused(path: Path, name: str) -> None:
    source = open_files(write(path, TABLE))
    write(path, TABLE.slice(1), overwrite=True)
    with pytest.raises(InputFileError, match="changed since"):
        list(source.batches())
