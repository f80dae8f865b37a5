"""Files in and out: cut between lines, records and rows wherever the bytes of a partition begin."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import esker
from esker.errors import InputError, InputFileError, OptionError, OutputExistsError

line_texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\n\r"), max_size=12)


def inline(bag: esker.Bag) -> esker.Bag:
    return bag.with_options(runtime="inline")


@given(
    lines=st.lists(line_texts, max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    size=st.integers(1, 40),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be"]),
)
def test_lines_are_whole_and_in_order_wherever_a_partition_begins(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, last: bool, size: int, encoding: str
) -> None:
    path = tmp_path_factory.mktemp("text") / "lines.txt"
    text = end.join(lines) + (end if last and lines else "")
    path.write_bytes(text.encode(encoding))
    expected = lines if (last or not lines or lines[-1]) else lines[:-1]
    found = inline(esker.read_text(path, partition_bytes=size, encoding=encoding))
    assert found.collect() == expected
    cut = inline(esker.read_text(path, partitions=3, encoding=encoding))
    assert cut.collect() == expected
    if expected and not encoding.startswith(("utf-16", "utf-32")):
        assert found.run(list)[0][:1] == expected[:1]


def test_partitions_are_of_one_size_and_at_least_as_many_as_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{n:09d}\n" for n in range(1000)))
    assert esker.read_text(path, partition_bytes=1000).partition_count == 10
    assert esker.read_text(path, partitions=4).partition_count >= 4
    sizes = inline(esker.read_text(path, partition_bytes=1000)).run(lambda lines: len(list(lines)))
    assert sizes == [100] * 10


@pytest.mark.parametrize("extension, compress", [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed_files_are_read_by_their_extension(extension: str, compress: Any, tmp_path: Path) -> None:
    path = tmp_path / f"lines.txt.{extension}"
    path.write_bytes(compress(b"one\ntwo\n"))
    assert inline(esker.read_text(path, partitions=3)).collect() == ["one", "two"]
    assert inline(esker.read_files(path)).collect() == [(str(path), b"one\ntwo\n")]


def test_folders_globs_and_lists_name_files_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", ".hidden", "_aside"):
        (tmp_path / name).write_text(name)
    for where in (tmp_path, tmp_path / "*.txt", [tmp_path / "a.txt", tmp_path / "b.txt"], f"file://{tmp_path}"):
        assert inline(esker.read_text(where)).collect() == ["a.txt", "b.txt"]
    for missing in (tmp_path / "c.txt", tmp_path / "*.csv", [], "nowhere://x/y"):
        with pytest.raises(InputFileError):
            esker.read_text(missing)


def test_a_file_that_changed_or_is_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"good\nb\xe4d\n")
    with pytest.raises(InputFileError, match=r"lines.txt is not utf-8: byte 0xe4 at 6"):
        inline(esker.read_text(path, partitions=1)).collect()
    assert inline(esker.read_text(path, encoding="latin-1")).collect() == ["good", "bäd"]
    assert inline(esker.read_text(path, errors="replace")).collect() == ["good", "b\ufffdd"]
    bag = inline(esker.read_text(path))
    path.write_bytes(b"other\n")
    with pytest.raises(InputFileError, match="changed"):
        bag.collect()
    with pytest.raises(OptionError, match="klingon"):
        esker.read_text(path, encoding="klingon")


@given(data=st.binary(max_size=200), size=st.integers(1, 9), partitions=st.integers(1, 5))
def test_records_and_chunks_are_cut_at_multiples_of_their_size(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int, partitions: int
) -> None:
    path = tmp_path_factory.mktemp("binary") / "bytes"
    path.write_bytes(data)
    chunks = [data[n : n + size] for n in range(0, len(data), size)]
    assert inline(esker.read_binary(path, chunk_bytes=size, partitions=partitions)).collect() == chunks
    records = inline(esker.read_binary(path, record_bytes=size, partitions=partitions))
    if len(data) % size:
        with pytest.raises(InputFileError, match="ends within a record"):
            records.collect()
    else:
        assert records.collect() == chunks


fields = st.text(st.sampled_from('ab,"\n\r é'), max_size=6)


@given(
    rows=st.lists(st.lists(fields, min_size=2, max_size=2), max_size=8),
    size=st.integers(1, 30),
    header=st.booleans(),
)
def test_csv_rows_are_whole_also_where_fields_hold_line_ends(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], size: int, header: bool
) -> None:
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["x", "y\nz"], *rows])
    path.write_text(text.getvalue(), newline="")
    bag = inline(esker.read_csv_rows(path, header=header, partition_bytes=size))
    expected = [dict(zip(["x", "y\nz"], row, strict=True)) for row in rows]
    assert bag.collect() == (expected if header else [("x", "y\nz"), *map(tuple, rows)])


def test_csv_rows_that_do_not_fit_their_header_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3\n")
    with pytest.raises(InputFileError, match=r"rows.csv: a row has 1 fields, the header 2: \['3'\]"):
        inline(esker.read_csv_rows(path)).collect()
    path.write_text('a,b\n1,"2\n')
    with pytest.raises(InputFileError, match=r"rows.csv: unexpected end of data"):
        inline(esker.read_csv_rows(path)).collect()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=25)
@given(values=st.lists(json_values, max_size=8), compression=st.sampled_from([None, "gz", "bz2", "xz", "zst"]))
def test_json_and_text_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], compression: str | None
) -> None:
    folder = tmp_path_factory.mktemp("out")
    bag = inline(esker.of(values, partitions=2))
    assert bag.write_json(folder / "json", compression=compression) == len(values)
    assert inline(esker.read_json(folder / "json")).collect() == values
    texts = bag.map(json.dumps)
    texts.write_text(folder / "text", compression=compression)
    assert inline(esker.read_text(folder / "text")).collect() == [json.dumps(value) for value in values]
    assert len(list((folder / "text").iterdir())) == 2


@settings(max_examples=25)
@given(records=st.lists(st.binary(max_size=20), max_size=20))
def test_records_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, records: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("out") / "records"
    assert inline(esker.of(records, partitions=3)).write_records(folder) == len(records)
    assert inline(esker.read_records(folder)).collect() == records


def test_what_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    bag = inline(esker.of([1, {2}], partitions=2))
    with pytest.raises(InputError, match=r"\{2\} has no JSON form"):
        bag.write_json(tmp_path / "out")
    with pytest.raises(InputError, match="write_records takes bytes, not 1"):
        bag.write_records(tmp_path / "out")
    with pytest.raises(InputError, match="'x' does not fit column 'n', which is int64"):
        inline(esker.of([{"n": "x"}])).write_parquet(tmp_path / "out", pa.schema({"n": pa.int64()}))
    with pytest.raises(OptionError, match="gz, bz2, xz, zst"):
        bag.write_text(tmp_path / "out", compression="rar")
    assert list(tmp_path.iterdir()) == []
    bag.write_text(tmp_path / "out")
    with pytest.raises(OutputExistsError):
        bag.write_text(tmp_path / "out")
    assert inline(esker.of([7], partitions=1)).write_text(tmp_path / "out", overwrite=True) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["part-00000.txt"]
    (tmp_path / "bad.json").write_text("{]\n")
    with pytest.raises(InputFileError, match=r"no JSON value on the line '\{\]'"):
        inline(esker.read_json(tmp_path / "bad.json")).collect()


def test_worker_processes_write_the_same_files(tmp_path: Path) -> None:
    bag = esker.range(100, partitions=4)
    assert bag.write_text(tmp_path / "processes") == inline(bag).write_text(tmp_path / "inline") == 100
    for path in (tmp_path / "inline").iterdir():
        assert (tmp_path / "processes" / path.name).read_bytes() == path.read_bytes()


@settings(max_examples=20)
@given(numbers=st.lists(st.integers(-(2**60), 2**60) | st.none(), max_size=50), partitions=st.integers(1, 5))
def test_rows_go_to_a_dataset_and_back(numbers: list[int | None], partitions: int) -> None:
    rows = [{"n": number, "text": str(number)} for number in numbers]
    schema = pa.schema({"n": pa.int64(), "text": pa.string()})
    data = inline(esker.of(rows, partitions)).to_dataset(schema)
    assert data.to_arrow().to_pylist() == rows
    assert data.filter("n > 0").count() == sum(1 for number in numbers if number is not None and number > 0)
    again = inline(data.to_bag(partitions))
    assert again.collect() == rows
    assert again.partition_count == partitions
    tuples = inline(esker.of([tuple(row.values()) for row in rows], partitions)).to_dataset(schema)
    assert tuples.to_arrow().to_pylist() == rows


def test_worker_processes_make_and_read_rows_of_datasets() -> None:
    data = esker.from_arrow({"n": range(10_000)})
    doubled = data.to_bag(3).map(lambda row: (row["n"] * 2,)).to_dataset(pa.schema({"n": pa.int64()}))
    assert doubled.to_arrow()["n"].to_pylist() == [2 * n for n in range(10_000)]
