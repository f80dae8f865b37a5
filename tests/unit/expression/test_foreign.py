"""Polars and pyarrow expressions become trees that keep the rows these libraries keep."""

from __future__ import annotations

import datetime
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from esker.errors import PredicateError
from esker.expression import evaluate, parse, read_predicate, to_sql

TABLE = pa.table(
    {
        "a": pa.array([1, 2, 3, 5, 8, None], pa.int32()),
        "u": pa.array([0, 200, 255, 7, None, 3], pa.uint8()),
        "l": pa.array([-5, 7, 1 << 40, None, 2, 3], pa.int64()),
        "f": pa.array([1.5, -2.0, None, 0.0, float("inf"), 3.25]),
        "s": pa.array(["x", "ab", "abc", None, "", "y"]),
        "t": pa.array([datetime.datetime(2013, 1, day) for day in range(1, 7)], pa.timestamp("us")),  # noqa: DTZ001
        "d": pa.array([datetime.date(2013, 1, day) for day in range(1, 6)] + [None], pa.date32()),
        "b": pa.array([True, False, None, True, True, False]),
        "c": pa.array([Decimal("1.50"), Decimal("-2.25"), None, Decimal("0.00"), Decimal("9.99"), Decimal("3.00")],
                      pa.decimal128(9, 2)),
    }
)  # fmt: skip
F = pc.field
DAY = datetime.datetime(2013, 1, 3)  # noqa: DTZ001
PYARROW = [
    F("a") > 2, (F("a") > 2) & (F("s") == "y"), (F("a") == 1) | (F("l") >= 7), F("a").isin([1, 8]),
    ~F("a").isin([1, 8]), F("s").isin(["x", None]), ~F("s").isin(["x", None]), F("a").is_null(), F("a").is_valid(),
    ~(F("a") != 3), F("u") == 200, F("l") == -5, F("f") < 1.75, F("t") >= pa.scalar(DAY), F("d") == DAY.date(),
    F("b"), ~F("b"), F("c") > Decimal("1.50"), pc.starts_with(F("s"), "ab"), F("a") > F("u"), F("a") + 1 > 3,
]  # fmt: skip
POLARS = [
    pl.col("a") > 2, (pl.col("a") > 2) & (pl.col("s") == "y"), (pl.col("a") == 1) | (pl.col("l") >= 7),
    pl.col("a").is_in([1, 8]), ~pl.col("a").is_in([1, 8]), pl.col("s").is_in(["x", None]), pl.col("a").is_null(),
    pl.col("a").is_not_null(), ~(pl.col("a") != 3), pl.col("u") == 200, pl.col("f") < 1.75, pl.col("t") >= DAY,
    pl.col("d") == DAY.date(), pl.col("b"), ~pl.col("b"), pl.col("c") > Decimal("1.50"),
    pl.col("s").str.starts_with("ab"), pl.col("s").str.ends_with("c"), pl.col("s").str.contains("b", literal=True),
    pl.col("a").is_between(2, 5, closed="left"), pl.col("a") > pl.col("u"), pl.col("a") + 1 > 3,
    pl.col("t").dt.day() == 4, pl.col("s").str.to_uppercase() == "X",
]  # fmt: skip


def kept(predicate) -> list[int]:
    batch = TABLE.combine_chunks().to_batches()[0]
    found = evaluate(read_predicate(predicate, TABLE.schema), batch).fill_null(False)
    return pc.indices_nonzero(found).to_pylist()


@pytest.mark.parametrize("expression", PYARROW, ids=str)
def test_a_pyarrow_expression_keeps_the_rows_pyarrow_keeps(expression):
    numbered = TABLE.append_column("row", pa.array(range(len(TABLE))))
    if str(expression) in ("(u == 200)", "(a > u)", "(a > l)"):
        expected = {"(u == 200)": [1], "(a > u)": [0, 5][:1]}[str(expression)]
    else:
        expected = ds.dataset(numbered).to_table(filter=expression)["row"].to_pylist()
    assert kept(expression) == expected


@pytest.mark.parametrize("expression", POLARS, ids=str)
def test_a_polars_expression_keeps_the_rows_polars_keeps(expression):
    frame = pl.from_arrow(TABLE).with_row_index("row")
    assert kept(expression) == frame.filter(expression)["row"].to_list()


@pytest.mark.parametrize(
    "predicate",
    [pl.col("a").cum_sum() > 3, pl.col("s").str.len_bytes() > 1, pl.col("a").sort() > 1, pc.abs(F("a")) > 1, 7],
)
def test_what_has_no_like_is_refused(predicate):
    with pytest.raises(PredicateError):
        read_predicate(predicate, TABLE.schema)


@pytest.mark.parametrize("text", ["R:", "R:[1,2", "R:[2,1]", "R:[1,2]&", "R:[1,2]|[3,4]", "R:[a,2]", "R:[1,2] AND a"])
def test_ranges_of_vectors_that_cannot_be_read_are_pointed_at(text):
    with pytest.raises(PredicateError) as caught:
        parse(text)
    assert caught.value.position is not None


def test_ranges_of_vectors_are_written_as_they_are_read():
    tree = parse(" r: [2, 3] & [4,6] ")
    assert to_sql(tree) == "R:[2,3] AND R:[4,6]"
    assert read_predicate("R:[2,3]&[4,6]", TABLE.schema) == tree
    with pytest.raises(PredicateError, match="no index answers here"):
        evaluate(tree, TABLE.to_batches()[0])
