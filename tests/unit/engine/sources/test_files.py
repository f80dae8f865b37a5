"""Rows of plain files by position: pages of Parquet where there is an offset index, row groups elsewhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.engine.sources.files import FileRows
from esker.errors import InputFileError
from esker.formats import open_files

ROWS = 20_000
COLUMNS = ["id", "text", "tag", "list", "where", "maybe"]


@cache
def table(rows: int = ROWS, first: int = 0) -> pa.Table:
    ids = np.arange(first, first + rows)
    return pa.table(
        {
            "id": ids,
            "text": [f"{number} " * 20 for number in ids],
            "tag": pa.array([f"tag {number % 7}" for number in ids]).dictionary_encode(),
            "list": [[number] * (number % 3) for number in ids],
            "where": [{"x": number, "y": str(number)} for number in ids],
            "maybe": [None if number % 3 else number / 2 for number in ids],
        }
    )


def write(path: Path, rows: pa.Table, **options: Any) -> Path:
    wanted = {"row_group_size": 7_000, "data_page_size": 4_096, "write_batch_size": 16, "write_page_index": True}
    pq.write_table(rows, path, **{**wanted, "use_dictionary": ["tag"], **options})
    return path


@pytest.fixture(scope="module")
def two_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    return [write(folder / "a.parquet", table()), write(folder / "b.parquet", table(5_000, ROWS), compression="zstd")]


def fetched(paths: list[Path], rows: RowSet, columns: list[str], memory: str = "64MiB", threads: int = 2) -> pa.Table:
    store = FileRows(open_files(paths), "files")
    schema = pa.schema([store.schema.field(name) for name in columns])
    with QueryContext(budget=MemoryBudget(memory), threads=threads, batch_rows=1_000) as context:
        found = [*store.fetch(rows, columns, context)]
        assert context.budget.held_bytes == 0
    ids = [batch.row_ids for batch in found]
    assert np.array_equal(np.concatenate(ids) if ids else [], rows.to_numpy())
    assert all(0 < batch.batch.num_rows <= 1_000 for batch in found)
    return pa.Table.from_batches([batch.batch for batch in found], schema)


def plain(rows: pa.Table, columns: list[str]) -> list[dict[str, Any]]:
    return rows.select(columns).to_pylist()


@given(
    st.lists(st.tuples(st.integers(0, ROWS + 4_999), st.integers(1, 3_000)), max_size=6),
    st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True),
    st.sampled_from(["16MiB", "64MiB"]),
)
def test_the_rows_asked_for_come_in_order(
    two_files: list[Path], runs: list[tuple[int, int]], columns: list[str], memory: str
) -> None:
    rows = RowSet.from_runs([start for start, _ in runs], [min(start + n, ROWS + 5_000) for start, n in runs])
    expected = pa.concat_tables([table(), table(5_000, ROWS)]).take(pa.array(rows.to_numpy()))
    assert plain(fetched(two_files, rows, columns, memory), columns) == plain(expected, columns)


def test_few_rows_cost_their_pages_alone(two_files: list[Path]) -> None:
    store = FileRows(open_files(two_files), "files")
    few, all_rows = RowSet.of([7, 12_000]), RowSet.range(0, ROWS + 5_000)
    assert store.fetch_cost(few, ["text"]).bytes < 20_000
    assert store.fetch_cost(few, ["text"]).requests == 2
    assert store.fetch_cost(all_rows, ["text"]) == store.scan_cost(["text"])


def test_what_is_read_is_what_was_priced(two_files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from esker.thaw import file_pages

    read: list[int] = []
    original = file_pages._read

    def counted(descriptor: int, start: int, stop: int, path: Path) -> bytes:
        read.append(stop - start)
        return original(descriptor, start, stop, path)

    store = FileRows(open_files(two_files), "files")
    rows = RowSet.from_runs([100, 9_000, 21_000], [130, 9_900, 21_001])
    expected = store.fetch_cost(rows, ["text"]).bytes
    monkeypatch.setattr(file_pages, "_read", counted)
    with QueryContext(budget=MemoryBudget("64MiB")) as context:
        assert sum(len(found.row_ids) for found in store.fetch(rows, ["text"], context)) == len(rows)
    assert sum(read) == expected


def test_a_row_group_of_which_most_is_wanted_is_read_whole(two_files: list[Path]) -> None:
    store = FileRows(open_files(two_files), "files")
    nearly_all = RowSet.range(0, 7_000) - RowSet.of([3_000])
    first = store.fetch_cost(RowSet.range(0, 7_000), ["id", "text"])
    assert store.fetch_cost(nearly_all, ["id", "text"]) == first


def test_a_file_without_an_offset_index_is_read_by_row_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", table(), write_page_index=False)
    rows = RowSet.of([3, 8_000])
    assert plain(fetched([path], rows, COLUMNS), COLUMNS) == plain(table().take([3, 8_000]), COLUMNS)
    store = FileRows(open_files([path]), "files")
    assert store.fetch_cost(RowSet.of([3]), ["text"]).bytes > 100_000


def test_a_damaged_offset_index_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", table())
    from esker.formats.parquet_tail import ParquetTail
    from esker.thaw.file_pages import read_tail

    size = path.stat().st_size
    start = ParquetTail(read_tail(path, size), size).index_start()
    assert start is not None
    data = bytearray(path.read_bytes())
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(InputFileError, match=r"a\.parquet"):
        fetched([path], RowSet.of([3]), ["id"])


def test_a_damaged_page_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", table(), write_page_checksum=True, use_dictionary=False)
    data = bytearray(path.read_bytes())
    place = data.find(b"1234 1234")
    data[place : place + 4] = b"9999"
    path.write_bytes(data)
    with pytest.raises(InputFileError, match=r"a\.parquet"):
        fetched([path], RowSet.of([1_234]), ["text"])


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", table())
    store = FileRows(open_files([path]), "files")
    write(path, table(ROWS, 5))
    with QueryContext() as context, pytest.raises(InputFileError, match="changed since it was opened"):
        list(store.fetch(RowSet.of([3]), ["text"], context))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_scan_gives_all_rows_in_order(two_files: list[Path], threads: int) -> None:
    store = FileRows(open_files(two_files), "files")
    with QueryContext(budget=MemoryBudget("256MiB"), threads=threads, ordered=False) as context:
        found = [*store.scan(["id"], context)]
    assert np.array_equal(np.concatenate([batch.row_ids for batch in found]), np.arange(ROWS + 5_000))
    ids = pa.chunked_array([batch.batch["id"] for batch in found])
    assert ids.to_pylist() == list(range(ROWS + 5_000))
