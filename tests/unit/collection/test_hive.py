"""Hive-style folders hold each key's rows, in order, as pyarrow, DuckDB and Polars read them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import esker
from esker.errors import InputError, OptionError, OutputExistsError, UnknownColumnError, UnsupportedTypeError

TEXTS = ["plain", "a/b", "k=v", "Zürich 東京", "50%", "a b+c", ".", "..", "", None, "null", "NULL", "'\"\\:?*"]


def read_pyarrow(folder: Path, keys: pa.Schema) -> list[dict[str, Any]]:
    partitioning = ds.partitioning(keys, flavor="hive")
    rows: list[dict[str, Any]] = ds.dataset(folder, format="parquet", partitioning=partitioning).to_table().to_pylist()
    return rows


def ordered(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)


def test_texts_with_any_letters_come_back_from_pyarrow(tmp_path: Path) -> None:
    table = pa.table({"key": TEXTS * 3, "n": list(range(3 * len(TEXTS)))})
    assert esker.from_arrow(table).write_parquet(tmp_path / "out", partition_by="key") == table.num_rows
    assert ordered(read_pyarrow(tmp_path / "out", pa.schema({"key": pa.string()}))) == ordered(table.to_pylist())


def test_texts_come_back_from_duckdb_and_polars(tmp_path: Path) -> None:
    texts = [text for text in TEXTS if text != ""]  # neither tells an empty text from null everywhere
    table = pa.table({"key": texts, "n": list(range(len(texts)))})
    out = tmp_path / "out"
    esker.from_arrow(table).write_parquet(out, partition_by="key")
    wanted = ordered(table.to_pylist())
    found = duckdb.sql(
        f"SELECT key, n FROM read_parquet('{out}/**/*.parquet', hive_partitioning=true, hive_types={{'key': VARCHAR}})"
    )
    # DuckDB takes the text NULL for null in a folder's name.
    like_duckdb = [row | {"key": None if row["key"] == "NULL" else row["key"]} for row in table.to_pylist()]
    assert ordered(pa.table(found).to_pylist()) in (wanted, ordered(like_duckdb))
    frame = polars.read_parquet(f"{out}/**/*.parquet", hive_partitioning=True, hive_schema={"key": polars.String})
    assert ordered(frame.select("key", "n").to_arrow().cast(table.schema).to_pylist()) == wanted


KEYS = {
    "date": pa.array([date(2024, 2, 29), None, date(1969, 12, 31)]),
    "flag": pa.array([True, False, None]),
    "int": pa.array([-5, 2**60, None]),
    "decimal": pa.array([Decimal("-1.50"), None, Decimal("0.00")], pa.decimal128(9, 2)),
    "float": pa.array([1.5, -0.1, None]),
    "time": pa.array([0, 1_700_000_000_123_456, None], pa.timestamp("us")),
    "dictionary": pa.array(["a", None, "b"]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind_come_back_in_their_type(kind: str, tmp_path: Path) -> None:
    table = pa.table({"key": pa.concat_arrays([KEYS[kind]] * 2), "n": list(range(6))})
    esker.from_arrow(table).write_parquet(tmp_path / "out", partition_by=["key"])
    # pyarrow makes no dictionary and no decimal of a folder's name.
    named = pa.string() if kind in ("dictionary", "decimal") else table["key"].type
    wanted = table.set_column(0, "key", table["key"].cast(named))
    assert ordered(read_pyarrow(tmp_path / "out", pa.schema({"key": named}))) == ordered(wanted.to_pylist())


def test_duckdb_counts_the_same_rows_by_two_keys(tmp_path: Path) -> None:
    table = pa.table(
        {"year": [2020 + n % 3 for n in range(999)], "country": ["AT", None, "a=b"] * 333, "n": list(range(999))}
    )
    out = tmp_path / "out"
    esker.from_arrow(table).write_parquet(out, partition_by=["year", "country"])
    query = "SELECT year, country, sum(n)::BIGINT, count(*) FROM {} GROUP BY ALL ORDER BY ALL"
    found = duckdb.sql(query.format(f"read_parquet('{out}/**/*.parquet', hive_partitioning=true)")).fetchall()
    assert found == duckdb.from_arrow(table).query("rows", query.format("rows")).fetchall()


def test_rows_of_a_key_keep_the_order_of_the_input_over_files(tmp_path: Path) -> None:
    table = pa.table({"key": [n % 7 for n in range(50_000)], "n": list(range(50_000))})
    out = tmp_path / "out"
    esker.from_arrow(table).write_parquet(out, partition_by="key", rows_per_file=1000)
    for key in range(7):
        parts = sorted((out / f"key={key}").iterdir())
        counts = [pq.read_metadata(part).num_rows for part in parts]
        assert counts[:-1] == [1000] * 7 and 0 < counts[-1] <= 1000
        read = [n for part in parts for n in pq.read_table(part, partitioning=None)["n"].to_pylist()]
        assert read == list(range(key, 50_000, 7))


@pytest.mark.parametrize("keys", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_every_one_of_many_keys_has_one_file_however_small_the_memory(keys: int, tmp_path: Path) -> None:
    count = 20 * keys
    table = pa.table({"key": [n * 7919 % keys for n in range(count)], "text": [f"{n:0120}" for n in range(count)]})
    out = tmp_path / "out"
    esker.from_arrow(table).write_parquet(out, partition_by="key", memory="32MiB", compression="none")
    assert len(list(out.rglob("*.parquet"))) == keys
    hive = ds.partitioning(pa.schema({"key": pa.int64()}), flavor="hive")
    found = ds.dataset(out, format="parquet", partitioning=hive).to_table()
    assert found.sort_by("text").select(["key", "text"]).equals(table)


@pytest.mark.parametrize("open_files_max", [1, 3, 256])
def test_keys_larger_than_memory_are_written_with_few_open_files(open_files_max: int, tmp_path: Path) -> None:
    table = pa.table({"key": [n % 5 for n in range(60_000)], "text": [f"{n:0200}" for n in range(60_000)]})
    out = tmp_path / "out"
    rows = esker.from_arrow(table)
    rows.write_parquet(out, partition_by="key", memory="16MiB", open_files_max=open_files_max, compression="none")
    for key in range(5):
        parts = sorted((out / f"key={key}").iterdir())
        read = [text for part in parts for text in pq.read_table(part, partitioning=None)["text"].to_pylist()]
        assert read == [f"{n:0200}" for n in range(key, 60_000, 5)]
    groups = [pq.read_metadata(path).num_row_groups for path in out.rglob("*.parquet")]
    assert sum(groups) > 5  # it did not wait for the end


def test_files_leave_the_keys_out_unless_they_are_to_be_kept(tmp_path: Path) -> None:
    rows = esker.from_arrow({"key": ["a", "b"], "n": [1, 2]})
    rows.write_parquet(tmp_path / "without", partition_by="key")
    rows.write_parquet(tmp_path / "with", partition_by="key", keep_keys=True)
    assert pq.read_schema(tmp_path / "without/key=a/part-00000.parquet").names == ["n"]
    assert pq.read_schema(tmp_path / "with/key=a/part-00000.parquet").names == ["key", "n"]


def test_a_folder_is_replaced_only_when_asked_and_only_if_it_holds_parquet(tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = esker.from_arrow({"key": [1, 2], "n": [1, 2]})
    rows.write_parquet(out, partition_by="key")
    with pytest.raises(OutputExistsError, match="out exists"):
        rows.write_parquet(out, partition_by="key")
    rows.filter("key = 2").write_parquet(out, partition_by="key", overwrite=True)
    assert [path.name for path in out.iterdir()] == ["key=2"]
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputExistsError, match=r"notes\.txt"):
        rows.write_parquet(out, partition_by="key", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_cannot_be_written_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UnknownColumnError, match="kez"):
        esker.from_arrow({"key": [1], "n": [1]}).write_parquet(out, partition_by="kez")
    with pytest.raises(UnsupportedTypeError, match="'key' is list"):
        esker.from_arrow({"key": [[1]], "n": [1]}).write_parquet(out, partition_by="key")
    with pytest.raises(OptionError, match="keep_keys"):
        esker.from_arrow({"key": [1]}).write_parquet(out, partition_by="key")
    with pytest.raises(OptionError, match="rows_per_file=0"):
        esker.from_arrow({"key": [1], "n": [1]}).write_parquet(out, partition_by="key", rows_per_file=0)
    with pytest.raises(OptionError, match="open_files_max=0"):
        esker.from_arrow({"key": [1], "n": [1]}).write_parquet(out, partition_by="key", open_files_max=0)
    with pytest.raises(OptionError, match="need partition_by"):
        esker.from_arrow({"key": [1]}).write_parquet(out, file_bytes="1MiB")
    with pytest.raises(InputError, match="HIVE_DEFAULT"):
        esker.from_arrow({"key": ["__HIVE_DEFAULT_PARTITION__"], "n": [1]}).write_parquet(out, partition_by="key")
    assert list(tmp_path.iterdir()) == []


def test_a_name_too_long_for_a_folder_is_an_error_that_names_the_output(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="out.*too long"):
        esker.from_arrow({"key": ["x" * 300], "n": [1]}).write_parquet(tmp_path / "out", partition_by="key")
    assert list(tmp_path.iterdir()) == []
