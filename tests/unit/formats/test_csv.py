from __future__ import annotations

import gzip
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from esker.errors import InputFileError, OptionError, SchemaMismatchError, UnknownColumnError, UnsupportedTypeError
from esker.formats import open_files, open_writer


def rows(where: Path, **options: object) -> list[dict[str, object]]:
    return [row for batch in open_files(where, **options).batches() for row in batch.to_pylist()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def test_types_are_inferred(path: Path) -> None:
    path.write_text("n,f,s,b,d,t\n1,1.5,x,true,2013-01-01,2013-01-01 10:00:00\n")
    assert rows(path) == [
        {"n": 1, "f": 1.5, "s": "x", "b": True, "d": date(2013, 1, 1), "t": datetime(2013, 1, 1, 10)}  # noqa: DTZ001
    ]


def test_an_unquoted_empty_field_is_null_and_a_quoted_one_an_empty_string(path: Path) -> None:
    path.write_text('n,s\n1,""\n2,\n')
    assert rows(path) == [{"n": 1, "s": ""}, {"n": 2, "s": None}]


def test_null_values_stand_for_null_in_every_type(path: Path) -> None:
    path.write_text('n,s\nNA,NA\n2,"NA"\n')
    assert rows(path, null_values=["NA"]) == [{"n": None, "s": None}, {"n": 2, "s": "NA"}]


def test_an_empty_line_in_a_file_of_one_column_is_a_null(path: Path) -> None:
    path.write_text("n\n1\n\n3\n")
    assert rows(path) == [{"n": 1}, {"n": None}, {"n": 3}]


def test_a_column_that_begins_with_nulls_may_hold_text_later(path: Path) -> None:
    path.write_text("n,s\n" + "1,\n" * 10_000 + "2,x\n")
    assert rows(path, block_bytes=1000)[-1] == {"n": 2, "s": "x"}


def test_a_fraction_of_a_second_may_come_later(path: Path) -> None:
    path.write_text("t,n\n" + "2013-01-01 00:00:00,1\n" * 1000 + "2013-01-01 00:00:00.25,2\n")
    assert rows(path, block_bytes=1000)[-1]["t"] == datetime(2013, 1, 1, 0, 0, 0, 250_000)  # noqa: DTZ001


def test_blocks_grow_with_the_columns_where_memory_allows(path: Path) -> None:
    names = [f"c{number}" for number in range(1000)]
    with path.open("w") as file:
        file.write(",".join(names) + "\n")
        file.writelines(",".join(f"{row * column}" for column in range(1000)) + "\n" for row in range(400))

    def read(batch_rows: int = 65_536, **options: object) -> list[pa.RecordBatch]:
        return list(open_files(path, **options).batches(batch_rows=batch_rows))

    plain = read(block_bytes=256 << 10)
    wide, narrow_memory = read(), read(batch_rows=1024)
    assert pa.Table.from_batches(wide) == pa.Table.from_batches(plain)
    assert 2 * len(wide) < len(plain)
    assert [batch.num_rows for batch in narrow_memory] == [batch.num_rows for batch in plain]


def test_types_override_what_would_be_inferred(path: Path) -> None:
    path.write_text("zip,n\n00501,1\n")
    assert rows(path) == [{"zip": 501, "n": 1}]
    assert rows(path, types={"zip": "string"}) == [{"zip": "00501", "n": 1}]
    assert open_files(path, types={"n": pa.int8()}).schema.field("n").type == pa.int8()


def test_types_of_an_unknown_column_name_the_nearest(path: Path) -> None:
    path.write_text("zip,n\n00501,1\n")
    with pytest.raises(UnknownColumnError, match="did you mean 'zip'"):
        open_files(path, types={"zipp": "string"})


def test_an_unknown_type_is_named(path: Path) -> None:
    path.write_text("zip,n\n00501,1\n")
    with pytest.raises(OptionError, match="no type 'text'"):
        open_files(path, types={"zip": "text"})


def test_a_schema_gives_names_where_there_is_no_header(path: Path) -> None:
    path.write_text("1,x\n2,y\n")
    schema = pa.schema([("n", pa.int16()), ("s", pa.string())])
    assert rows(path, header=False, schema=schema) == [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}]
    assert rows(path, header=False)[0] == {"f0": 1, "f1": "x"}


def test_a_schema_with_other_names_is_refused(path: Path) -> None:
    path.write_text("n,s\n1,x\n")
    with pytest.raises(SchemaMismatchError, match="has columns n, s; expected n, t"):
        open_files(path, schema=pa.schema([("n", pa.int8()), ("t", pa.string())]))


def test_all_files_of_a_folder_have_the_types_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,s\n1.5,x\n")
    (tmp_path / "b.csv").write_text("n,s\n2,\n")
    assert rows(tmp_path) == [{"n": 1.5, "s": "x"}, {"n": 2.0, "s": None}]


def test_tabs_separate_tsv_and_gz_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv.gz").write_bytes(gzip.compress(b"n\ts\n1\ta,b\n"))
    assert rows(tmp_path / "rows.tsv.gz") == [{"n": 1, "s": "a,b"}]
    with open_writer(tmp_path / "out.tsv.gz", pa.schema([("n", pa.int64()), ("s", pa.string())])) as writer:
        writer.write(pa.record_batch({"n": [1], "s": ["a\tb"]}))
    assert gzip.decompress((tmp_path / "out.tsv.gz").read_bytes()) == b'"n"\t"s"\n1\t"a\tb"\n'
    assert rows(tmp_path / "out.tsv.gz") == [{"n": 1, "s": "a\tb"}]


def test_a_damaged_gz_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"n,s\n" + b"1,x\n" * 10_000)[:-30])
    with pytest.raises(InputFileError, match=r"rows\.csv\.gz"):
        rows(path)


def test_a_ragged_line_is_named_by_its_number(path: Path) -> None:
    path.write_text('n,s\n1,"two\nlines"\n\n2,x,y\n3,z\n')
    with pytest.raises(InputFileError, match=r"rows\.csv line 5 has 3 fields, its first line 2"):
        rows(path)


def test_a_ragged_line_far_into_the_file_is_found(path: Path) -> None:
    path.write_text("n,s\n" + "1,x\n" * 5000 + "2\n")
    with pytest.raises(InputFileError, match="line 5002 has 1 fields"):
        rows(path, block_bytes=1000)


def test_a_value_of_another_type_is_named_by_line_and_column(path: Path) -> None:
    path.write_text("s,n\n" + "x,1\n" * 5000 + "y,many\n")
    with pytest.raises(
        InputFileError, match=r"line 5002, column 'n': 'many' is no int64; pass types=\{'n': 'string'\}"
    ):
        rows(path, block_bytes=1000)


def test_the_column_is_named_rightly_when_few_are_read(path: Path) -> None:
    path.write_text("s,n\n" + "x,1\n" * 5000 + "y,many\n")
    with pytest.raises(InputFileError, match="line 5002, column 'n': 'many'"):
        list(open_files(path, block_bytes=1000).batches(["n"]))


@pytest.mark.parametrize("options", [{}, {"types": {"s": "string"}}])
def test_bytes_that_are_not_utf8_are_named_by_line(path: Path, options: dict[str, object]) -> None:
    path.write_bytes("n,s\n1,x\n2,Zürich\n".encode("latin-1"))
    with pytest.raises(InputFileError, match=r"line 3 is not utf-8; pass its encoding"):
        rows(path, **options)
    assert rows(path, encoding="latin-1")[-1] == {"n": 2, "s": "Zürich"}


def test_a_header_that_is_not_utf8_is_named_too(path: Path) -> None:
    path.write_bytes("größe,s\n1,x\n".encode("latin-1"))
    with pytest.raises(InputFileError, match=r"line 1 is not utf-8; pass its encoding"):
        rows(path)
    assert rows(path, encoding="latin-1") == [{"größe": 1, "s": "x"}]


def test_a_header_alone_is_an_empty_table(path: Path) -> None:
    path.write_text("n,s\n")
    assert open_files(path).schema.names == ["n", "s"]
    assert rows(path) == []


def test_an_empty_file_is_named(path: Path) -> None:
    path.write_text("")
    with pytest.raises(InputFileError, match="is empty"):
        rows(path)


@pytest.mark.parametrize("options", [{"delimiter": ";;"}, {"encoding": "klingon"}])
def test_an_option_that_cannot_be_is_named(path: Path, options: dict[str, str]) -> None:
    path.write_text("n\n1\n")
    with pytest.raises(OptionError, match=next(iter(options))):
        rows(path, **options)


@pytest.mark.parametrize("type_", [pa.list_(pa.int8()), pa.binary(), pa.binary(4)], ids=str)
def test_a_type_csv_cannot_hold_is_named(path: Path, type_: pa.DataType) -> None:
    with pytest.raises(UnsupportedTypeError, match=r"'c' is .* which CSV cannot hold"):
        with open_writer(path, pa.schema([("c", type_)])):
            raise AssertionError("not reached")
    assert not path.exists()


def test_a_record_longer_than_a_block_says_which_option_helps(path: Path) -> None:
    path.write_text("n,s\n1," + "x" * 10_000 + "\n2,y\n")
    with pytest.raises(InputFileError, match="longer than a block; pass a larger block_bytes"):
        rows(path, block_bytes=1000)
    assert len(rows(path, block_bytes=20_000)) == 2


def test_reading_holds_a_few_blocks_whatever_the_file(path: Path) -> None:
    path.write_text("n,s\n" + f"1,{'x' * 90}\n" * 50_000)
    pool = pa.default_memory_pool()
    before, held = pool.bytes_allocated(), 0
    for batch in open_files(path, block_bytes=16 << 10).batches():
        held = max(held, pool.bytes_allocated() - before)
        assert batch.num_rows
    assert held < 1 << 20 < path.stat().st_size / 4
