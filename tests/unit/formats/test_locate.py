from __future__ import annotations

import os
from pathlib import Path

import pytest

from esker.errors import InputFileError, OptionError
from esker.formats import open_files, open_writer
from esker.formats.locate import find_files
from esker.formats.parquet import FORMAT as PARQUET


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.parquet", "a.pq", "_SUCCESS", ".hidden.parquet", "notes.txt", "sub/c.parquet", "_old/d.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(folder: Path, found: list[Path]) -> list[str]:
    return [str(path.relative_to(folder)) for path in found]


def test_a_folder_gives_its_data_files_sorted_without_hidden_ones(folder: Path) -> None:
    assert names(folder, find_files(folder, [PARQUET])) == ["a.pq", "b.parquet", "sub/c.parquet"]


def test_a_glob_gives_what_matches_sorted(folder: Path) -> None:
    assert names(folder, find_files(f"{folder}/*.p*", [PARQUET])) == ["a.pq", "b.parquet"]
    assert names(folder, find_files(f"{folder}/**/*.parquet", [PARQUET])) == ["b.parquet", "sub/c.parquet"]


def test_a_list_keeps_its_order(folder: Path) -> None:
    assert names(folder, find_files([folder / "b.parquet", folder / "a.pq"], [PARQUET])) == ["b.parquet", "a.pq"]


def test_a_file_may_have_the_name_of_a_glob(tmp_path: Path) -> None:
    (tmp_path / "odd[1].parquet").write_bytes(b"x")
    assert names(tmp_path, find_files(tmp_path / "odd[1].parquet", [PARQUET])) == ["odd[1].parquet"]


@pytest.mark.parametrize(
    "where, message",
    [
        ("b.paquet", r"no file .*b\.paquet; did you mean .*b\.parquet\?"),
        ("nowhere/b.parquet", "there is no folder .*nowhere"),
        ("*.orc", r"no file matches .*\*\.orc"),
        ("_old/empty", "no file"),
        ("notes.txt", "cannot tell the format of .*notes.txt"),
    ],
)
def test_what_is_not_there_is_named(folder: Path, where: str, message: str) -> None:
    with pytest.raises(InputFileError, match=message):
        open_files(folder / where)


def test_a_folder_without_data_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputFileError, match=r"no data files in folder .*\.parquet"):
        open_files(tmp_path)


def test_an_empty_list_and_an_empty_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="the list is empty"):
        open_files([])
    with pytest.raises(InputFileError, match="the path is empty"):
        open_files("")


def test_formats_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n")
    (tmp_path / "b.parquet").write_bytes(b"x")
    with pytest.raises(InputFileError, match=r"a\.csv is csv, but .*b\.parquet is parquet"):
        open_files(tmp_path)
    assert open_files(tmp_path, format="csv").paths == (tmp_path / "a.csv",)


def test_format_reads_a_file_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("n\n1\n")
    assert open_files(tmp_path / "rows.txt", format="csv").schema.names == ["n"]


def test_an_unknown_format_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no format 'orc'; there is: parquet, csv, arrow"):
        open_files(tmp_path, format="orc")


def test_an_output_needs_a_known_extension(tmp_path: Path) -> None:
    import pyarrow as pa

    with pytest.raises(OptionError, match=r"cannot tell the format of .*rows\.txt"):
        open_writer(tmp_path / "rows.txt", pa.schema([("n", pa.int8())]))


def test_a_hive_folder_is_refused_rather_than_losing_a_column(tmp_path: Path) -> None:
    (tmp_path / "year=2013").mkdir()
    (tmp_path / "year=2013" / "a.parquet").write_bytes(b"x")
    with pytest.raises(InputFileError, match="year=2013 looks like a Hive partition"):
        open_files(tmp_path)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    with pytest.raises(InputFileError, match="not a regular file"):
        open_files(tmp_path / "rows.csv")
