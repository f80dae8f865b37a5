"""Types that few meet, but that Parquet files and other libraries bring: every verb takes them, or names the column."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import esker
from esker.errors import UnsupportedTypeError

ONE, TWO = UUID(int=1), UUID(int=2)
# Row by row: equal values, nulls, and values that are alone.
COLUMNS = {
    "decimal32": pa.array([Decimal("1.50"), None, Decimal("-3.25"), Decimal("1.50"), None], pa.decimal32(7, 2)),
    "decimal64": pa.array([Decimal("1.50"), None, Decimal("-3.25"), Decimal("1.50"), None], pa.decimal64(16, 2)),
    "runs": pc.run_end_encode(pa.array(["b", None, "a", "b", None])),
    "uuid": pa.array([TWO.bytes, None, ONE.bytes, TWO.bytes, None], pa.binary(16)).cast(pa.uuid()),
    "json": pa.array(["2", None, "1", "2", None]).cast(pa.json_()),
}
EMPTY_LISTS = pa.list_(pa.int8(), 0)
UNION = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])


def table(name: str, row: str = "row") -> pa.Table:
    return pa.table({"x": COLUMNS[name], row: range(5)})


def rows(dataset: esker.Dataset) -> list[int]:
    return dataset.to_arrow()["row"].to_pylist()


@pytest.mark.parametrize("name", COLUMNS)
def test_groups_are_by_the_value(name: str) -> None:
    data = esker.from_arrow(table(name))
    assert sorted(rows(data.distinct("x"))) == [0, 1, 2]
    assert sorted(rows(data.distinct("x", keep="last"))) == [2, 3, 4]
    counted = data.group_by("x").agg({"first": ("row", "min"), "rows": ("row", "len")}).sort("first").to_arrow()
    assert counted["rows"].to_pylist() == [2, 2, 1]
    assert counted["x"].to_pylist() == COLUMNS[name].to_pylist()[:3]
    mapped = data.group_by("x").map_groups(lambda group: {"row": group["row"][0].as_py()})
    assert sorted(rows(mapped)) == [0, 1, 2]
    assert sorted(part.count() for part in data.partition_by("x").values()) == [1, 2, 2]


@pytest.mark.parametrize("name", COLUMNS)
def test_order_is_that_of_the_value(name: str) -> None:
    data = esker.from_arrow(table(name))
    assert rows(data.sort("x")) == [2, 0, 3, 1, 4]
    assert rows(data.sort("x", descending=True, nulls="first")) == [1, 4, 0, 3, 2]
    assert rows(data.shuffle("x", 1, function="range").sort("x")) == [2, 0, 3, 1, 4]
    assert rows(data.filter("x IS NOT NULL")) == [0, 2, 3]


@pytest.mark.parametrize("algorithm", ["asj", "hash", "in_memory"])
@pytest.mark.parametrize("name", COLUMNS)
def test_joins_match_equal_values(name: str, algorithm: str) -> None:
    left, right = esker.from_arrow(table(name)), esker.from_arrow(table(name, "other").slice(2))
    joined = left.join(right, on="x", how="full", algorithm=algorithm).to_arrow()
    assert set(zip(joined["row"].to_pylist(), joined["other"].to_pylist(), strict=True)) == {
        (0, 3),
        (1, None),
        (2, 2),
        (3, 3),
        (4, None),
        (None, 4),
    }
    assert joined.schema.field("x").type == left.schema.field("x").type
    pairs = left.join(right.select(["other"]), left_on="row", right_on="other", algorithm=algorithm).to_arrow()
    assert pairs["x"].to_pylist() == COLUMNS[name].to_pylist()[2:]


@pytest.mark.parametrize("name", COLUMNS)
def test_frozen_rows_come_back(name: str, tmp_path: Path) -> None:
    esker.freeze(table(name), tmp_path / "payload", keys="row")
    esker.freeze(table(name), tmp_path / "key", keys="x")
    for folder in ("payload", "key"):
        assert esker.read(tmp_path / folder).to_arrow()["x"].to_pylist() == COLUMNS[name].to_pylist()
        assert rows(esker.find(tmp_path / folder, "x IS NULL")) == [1, 4]


def write(name: str) -> Callable[[esker.Dataset, Path], Any]:
    return lambda data, folder: data.write(folder / name)


def freeze(data: esker.Dataset, folder: Path) -> None:
    esker.freeze(data, folder / "frozen", keys="row")


@pytest.mark.parametrize(
    ("values", "verb"),
    [
        (pa.array([[], None], EMPTY_LISTS), write("x.parquet")),
        (pa.array([[[]], None], pa.list_(EMPTY_LISTS)), freeze),
        (pa.array([b"", None], pa.binary(0)), write("x.parquet")),
        (pa.array([b"", None], pa.binary(0)), freeze),
        (pa.array([None, Decimal(100)], pa.decimal128(5, -2)), freeze),
        (pa.array([(1, 2, 3), None], pa.month_day_nano_interval()), write("x.csv")),
        (pa.array([{}, None], pa.struct([])), lambda data, _: data.sort("x")),
        (UNION, lambda data, _: data.sort("x")),
        (UNION, lambda data, _: data.group_by("x").agg({"n": ("row", "len")})),
    ],
    ids=[
        "empty lists, Parquet",
        "empty lists within lists, frozen",
        "no bytes, Parquet",
        "no bytes, frozen",
        "negative scale, frozen",
        "interval, CSV",
        "empty struct, sorted",
        "union, sorted",
        "union, grouped",
    ],
)
def test_a_column_that_cannot_be_taken_is_named(
    values: pa.Array, verb: Callable[[esker.Dataset, Path], Any], tmp_path: Path
) -> None:
    data = esker.from_arrow(pa.table({"row": range(2), "x": values}))
    with pytest.raises(UnsupportedTypeError, match="'x'"):
        verb(data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_column_that_no_verb_compares_goes_along() -> None:
    data = esker.from_arrow(pa.table({"row": [1, 0], "x": UNION}))
    assert data.sort("row").to_arrow()["x"].to_pylist() == UNION.to_pylist()[::-1]
    assert sorted(rows(data.distinct("row"))) == [0, 1]
    assert data.group_by("row").agg({"n": ("row", "len")}).to_arrow()["n"].to_pylist() == [1, 1]
