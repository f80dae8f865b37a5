from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esker.core.file_system import FileSystem
from esker.errors import InputFileError, OptionError, OutputFileError, UnsupportedTypeError
from esker.formats import FORMATS, ColumnStatistics, open_files, open_writer
from esker.formats.parquet import ParquetFileWriter, leaf_paths
from esker.testing.arrow_types import TYPES


def write(path: Path, table: pa.Table, **options: object) -> Path:
    with open_writer(path, table.schema, **options) as writer:
        for batch in table.to_batches():
            writer.write(batch)
    return path


def test_row_groups_have_the_rows_asked_for_whatever_the_batches(tmp_path: Path) -> None:
    table = pa.table({"n": list(range(1000))})
    with open_writer(tmp_path / "rows.parquet", table.schema, row_group_rows=300) as writer:
        for batch in table.to_batches(max_chunksize=70):
            writer.write(batch)
    source = open_files(tmp_path / "rows.parquet")
    assert [fragment.row_count for fragment in source.fragments] == [300, 300, 300, 100]
    assert [fragment.first_row for fragment in source.fragments] == [0, 300, 600, 900]
    assert source.row_count == 1000


@pytest.mark.parametrize("type_", [*TYPES, pa.null(), pa.uuid(), pa.list_(pa.struct({"x": pa.int8()}))], ids=str)
def test_the_leaves_of_a_column_are_those_that_a_file_of_it_has(type_: pa.DataType, tmp_path: Path) -> None:
    field = pa.field("of it.s", type_)
    pq.write_table(pa.schema([field]).empty_table(), tmp_path / "empty.parquet")
    stored = pq.read_metadata(tmp_path / "empty.parquet").schema
    assert leaf_paths(field) == [stored.column(leaf).path for leaf in range(len(stored))]


def test_a_row_group_ends_before_it_outgrows_memory(tmp_path: Path) -> None:
    table = pa.table({"s": ["x" * 1000] * 1000})
    with open_writer(tmp_path / "rows.parquet", table.schema, row_group_bytes=100_000) as writer:
        for batch in table.to_batches(max_chunksize=10):
            writer.write(batch)
    assert all(fragment.row_count <= 110 for fragment in open_files(tmp_path / "rows.parquet").fragments)


@pytest.mark.parametrize("page_bytes", [8 << 10, 64 << 10])
def test_pages_of_wide_rows_keep_to_page_bytes(tmp_path: Path, page_bytes: int) -> None:
    text = [f"{number:08x}" * 60 for number in range(8000)]
    path = write(tmp_path / "rows.parquet", pa.table({"s": text}), page_bytes=page_bytes)
    sizes = data_page_sizes(path)
    # Without a fitted write batch they would hold 1,024 rows: half a megabyte.
    assert max(sizes) <= 1.3 * page_bytes
    assert len(sizes) >= 2_000_000 / (1.3 * page_bytes)


def data_page_sizes(path: Path) -> list[int]:
    """The uncompressed lengths of the first column chunk's data pages, from the page headers."""
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data, place = path.read_bytes(), chunk.dictionary_page_offset or chunk.data_page_offset
    stop, sizes = place + chunk.total_compressed_size, []
    while place < stop:
        header, place = read_thrift_struct(data, place)
        if header[1] != 2:  # 2 is the dictionary
            sizes.append(header[2])
        place += header[3]
    return sizes


def read_thrift_struct(data: bytes, place: int) -> tuple[dict[int, int], int]:
    """Read a compact Thrift struct of integers, flags, byte strings and structs; only the integers are kept."""
    found: dict[int, int] = {}
    number = 0
    while data[place]:
        number, kind = number + (data[place] >> 4), data[place] & 15
        place += 1
        if kind in (4, 5, 6):
            value, place = read_varint(data, place)
            found[number] = (value >> 1) ^ -(value & 1)
        elif kind == 8:
            length, place = read_varint(data, place)
            place += length
        elif kind == 12:
            _, place = read_thrift_struct(data, place)
        else:
            assert kind in (1, 2), kind
    return found, place + 1


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        value |= (data[place] & 127) << shift
        place, shift = place + 1, shift + 7
        if data[place - 1] < 128:
            return value, place


def test_the_page_index_is_written(tmp_path: Path) -> None:
    chunk = pq.ParquetFile(write(tmp_path / "rows.parquet", pa.table({"n": [1, 2]}))).metadata.row_group(0).column(0)
    assert chunk.has_offset_index
    assert chunk.has_column_index


def test_statistics_are_kept_for_named_columns_only(tmp_path: Path) -> None:
    table = pa.table({"key": [3, None, 1], "payload": ["a", "b", "c"]})
    source = open_files(write(tmp_path / "rows.parquet", table, statistics=["key"]))
    (fragment,) = source.fragments
    assert source.statistics(fragment, "key") == ColumnStatistics(pa.scalar(1), pa.scalar(3), 1)
    assert source.statistics(fragment, "payload") is None
    none = open_files(write(tmp_path / "none.parquet", table, statistics=()))
    assert none.statistics(none.fragments[0], "key") is None


NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "low, high, type_",
    [
        (date(2013, 1, 1), date(2013, 2, 1), pa.date32()),
        (NOON, NOON.replace(hour=13), pa.timestamp("us", "UTC")),
        (NOON, NOON.replace(hour=13), pa.timestamp("ns", "Europe/Berlin")),
        (Decimal("-1.50"), Decimal("2.25"), pa.decimal128(9, 2)),
        ("a", "é", pa.string()),
        (False, True, pa.bool_()),
        (1, 2**64 - 1, pa.uint64()),
    ],
    ids=str,
)
def test_statistics_have_the_type_of_the_column(tmp_path: Path, low: object, high: object, type_: pa.DataType) -> None:
    source = open_files(write(tmp_path / "rows.parquet", pa.table({"c": pa.array([high, None, low], type_)})))
    found = source.statistics(source.fragments[0], "c")
    assert found == ColumnStatistics(pa.scalar(low, type_), pa.scalar(high, type_), 1)


def test_a_float_has_no_known_maximum_because_nan_may_lie_above(tmp_path: Path) -> None:
    source = open_files(write(tmp_path / "rows.parquet", pa.table({"c": [1.0, float("nan"), 3.0]})))
    assert source.statistics(source.fragments[0], "c") == ColumnStatistics(pa.scalar(1.0), None, 0)


def test_byte_ranges_are_the_column_chunks_and_add_up_to_the_fragment(tmp_path: Path) -> None:
    table = pa.table({"a": list(range(100)), "s": [{"x": 1, "y": "z"}] * 100, "b.c": list(range(100))})
    source = open_files(write(tmp_path / "rows.parquet", table))
    (fragment,) = source.fragments
    each = [sum(found.length for found in source.byte_ranges(fragment, [name])) for name in table.column_names]
    assert all(each)
    assert sum(each) == fragment.bytes
    (all_of_it,) = source.byte_ranges(fragment)
    assert (all_of_it.start, all_of_it.length) == (4, fragment.bytes)
    assert len(source.byte_ranges(fragment, ["a", "b.c"])) == 2


def test_nested_types_pass_untouched(tmp_path: Path) -> None:
    rows = [{"l": [1, None], "s": {"x": "y"}}, {"l": None, "s": None}]
    table = pa.Table.from_pylist(rows)
    source = open_files(write(tmp_path / "rows.parquet", table))
    assert [row for batch in source.batches() for row in batch.to_pylist()] == rows


def test_a_type_parquet_cannot_hold_is_named_before_anything_is_written(tmp_path: Path) -> None:
    schema = pa.schema([("ok", pa.int8()), ("odd", pa.month_day_nano_interval())])
    with pytest.raises(UnsupportedTypeError, match="'odd' is month_day_nano_interval"):
        with open_writer(tmp_path / "rows.parquet", schema):
            raise AssertionError("not reached")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"row_group_rows": 0}, {"page_bytes": -1}, {"compression": "rar"}])
def test_an_option_out_of_range_is_named(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(options)).split("=")[0]):
        open_writer(tmp_path / "rows.parquet", pa.schema([("n", pa.int8())]), **options)


def test_a_flipped_byte_in_a_page_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", pa.table({"n": list(range(10_000))}), compression="none")
    data = bytearray(path.read_bytes())
    data[30_000] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputFileError, match=r"rows\.parquet .*(CRC|checksum)"):
        list(open_files(path).batches())


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["n", "n"])
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(InputFileError, match="two columns named 'n'"):
        open_files(tmp_path / "rows.parquet")


@pytest.mark.parametrize("format_", ["parquet", "csv", "arrow"])
def test_a_full_disk_is_an_error_that_names_the_file(format_: str, tmp_path: Path) -> None:
    class Full(FileSystem):
        def open_new(self, path: Path) -> BinaryIO:
            return Path("/dev/full").open("w+b")

    rows = pa.record_batch({"n": np.random.default_rng(1).random(300_000)})
    writer = FORMATS[format_].writer(tmp_path / "rows", rows.schema, file_system=Full())
    with pytest.raises(OutputFileError, match="rows: No space left on device"), writer:
        for _ in range(8):
            writer.write(rows)
    assert list(tmp_path.iterdir()) == []


def encodings(path: Path) -> dict[str, bool]:
    """Whether each column has a dictionary."""
    group = pq.read_metadata(path).row_group(0)
    return {
        group.column(leaf).path_in_schema: group.column(leaf).has_dictionary_page for leaf in range(group.num_columns)
    }


def test_columns_have_a_dictionary_where_their_first_values_repeat(tmp_path: Path) -> None:
    table = pa.table(
        {
            "same": ["a", "b"] * 1000,
            "all.different": [f"{n:050}" for n in range(2000)],
            "mostly": [n // 3 for n in range(2000)],
            "nested": [{"x": n} for n in range(2000)],
        }
    )
    found = encodings(write(tmp_path / "rows.parquet", table))
    assert found == {"same": True, "all.different": False, "mostly": True, "nested.x": True}
    assert pq.read_table(tmp_path / "rows.parquet").equals(table)


def test_a_dictionary_can_be_asked_for_by_name(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 1], "b": [1, 2], "c": [{"x": 1}, {"x": 1}]})
    assert encodings(write(tmp_path / "b.parquet", table, dictionary=["b"])) == {"a": False, "b": True, "c.x": False}
    assert not any(encodings(write(tmp_path / "none.parquet", table, dictionary=[])).values())


def test_flush_ends_the_row_group_and_tells_how_far_rows_shrank(tmp_path: Path) -> None:
    batch = pa.record_batch({"n": [7] * 1000})
    with open_writer(tmp_path / "rows.parquet", batch.schema) as writer:
        assert isinstance(writer, ParquetFileWriter)
        writer.write(batch)
        assert (writer.pending_bytes, writer.encoded_from_bytes) == (8000, 0)
        writer.flush()
        writer.flush()
        assert (writer.pending_bytes, writer.encoded_from_bytes) == (0, 8000)
        assert 0 < writer.encoded_bytes < 1000
        writer.write(batch)
    assert [fragment.row_count for fragment in open_files(tmp_path / "rows.parquet").fragments] == [1000, 1000]
