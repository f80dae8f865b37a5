"""`distinct` keeps the first row of each key, whatever the types, the budget and the threads."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

import esker
from tests.unit.collection.wide import rows_of, wide_table

TABLE = wide_table(400, seed=1)


def first_by_python(table: pa.Table, by: list[str], keep: str = "first") -> pa.Table:
    """The rows whose key was not seen before (or is not seen again); NaN equals NaN and -0.0 equals 0.0."""

    def word(value: object) -> str:
        return repr(value + 0.0 if isinstance(value, float) else value)

    seen: dict[str, int] = {}
    for number, row in enumerate(table.select(by).to_pylist()):
        key = " ".join(word(value) for value in row.values())
        seen[key] = seen.get(key, number) if keep == "first" else number
    return table.take(list(seen.values()))


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("keep", ["first", "last"])
@pytest.mark.parametrize("by", [["k"], ["s"], ["f32"], ["f64", "flag"], ["money"], ["moment", "bytes"], ["clock"]])
def test_distinct_keeps_the_first_or_last_row_of_each_key(by: list[str], keep: str, threads: int) -> None:
    kept = esker.from_arrow(TABLE).distinct(by, keep=keep, partitions=8).with_options(threads=threads).to_arrow()
    assert kept.schema.equals(TABLE.schema)
    assert rows_of(kept) == rows_of(first_by_python(TABLE, by, keep))


def test_distinct_without_columns_compares_whole_rows() -> None:
    narrow = TABLE.select(["k", "f64", "flag"])
    assert rows_of(esker.from_arrow(narrow).distinct().to_arrow()) == rows_of(
        first_by_python(narrow, narrow.column_names)
    )
    twice = esker.from_arrow(pa.concat_tables([TABLE, TABLE])).distinct(partitions=8)
    assert rows_of(twice.to_arrow()) == rows_of(TABLE)


def test_distinct_of_floats_knows_one_nan_one_null_and_one_zero() -> None:
    values = pa.table({"f": pa.array([0.0, math.nan, None, -0.0, math.nan, None]), "n": range(6)})
    kept = esker.from_arrow(values).distinct("f").to_arrow()
    assert sorted(kept["n"].to_pylist()) == [0, 1, 2]


@pytest.mark.parametrize("keep", ["first", "last"])
def test_rows_of_a_partition_stay_in_the_order_of_the_input(keep: str) -> None:
    kept = esker.from_arrow(TABLE).distinct(["k", "s"], keep=keep, partitions=1).to_arrow()
    assert kept["id"].to_pylist() == sorted(kept["id"].to_pylist())


@pytest.mark.parametrize("threads", [1, 4])
def test_more_distinct_rows_than_the_budget_are_kept_all(threads: int) -> None:
    row_count = 1_000_000
    keys = np.random.default_rng(3).permutation(row_count)
    table = pa.table({"k": keys, "text": pa.array([f"{key:064d}" for key in keys])})
    kept = esker.from_arrow(pa.concat_tables([table, table])).distinct("k", partitions=16)
    found = np.zeros(row_count, np.int64)
    for batch in kept.with_options(memory="16MiB", threads=threads):
        np.add.at(found, batch["k"].to_numpy(), 1)
    assert (found == 1).all()


def test_a_key_with_more_rows_than_the_budget_is_one_row() -> None:
    table = pa.table({"k": np.zeros(1 << 20, np.int64), "n": np.arange(1 << 20), "text": ["x" * 64] * (1 << 20)})
    kept = esker.from_arrow(table).distinct("k").with_options(memory="16MiB", threads=1).to_arrow()
    assert kept["n"].to_pylist() == [0]


def test_distinct_of_no_rows_is_no_rows() -> None:
    assert esker.from_arrow(TABLE.slice(0, 0)).distinct("k").count() == 0


def test_explain_shows_the_shuffle_below_and_only_the_columns_needed() -> None:
    text = str(esker.from_arrow(TABLE).distinct("k").select(["id"]).explain())
    assert "distinct" in text and "shuffle" in text
    assert "f64" not in text


def test_distinct_names_a_column_that_is_not_there() -> None:
    with pytest.raises(esker.errors.UnknownColumnError, match="kk"):
        esker.from_arrow(TABLE).distinct("kk")
    with pytest.raises(esker.errors.OptionError, match="keep='any'.; there is: first, last"):
        esker.from_arrow(TABLE).distinct("k", keep="any")
