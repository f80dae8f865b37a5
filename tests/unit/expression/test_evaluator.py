from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from esker.errors import PredicateError, UnknownColumnError
from esker.expression import bind, evaluate, filter_batch, parse, simplify, to_sql

from .trees import answer, cases, connect


@pytest.fixture(scope="module")
def duck() -> Iterator[Any]:
    connection = connect()
    yield connection
    connection.close()


def ask(text: str, batch: pa.RecordBatch) -> list[bool | None]:
    return list(evaluate(bind(parse(text), batch.schema), batch).to_pylist())


@pytest.mark.parametrize("block", range(8))
def test_random_predicates_say_what_duckdb_says(duck: Any, block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        batch, tree = cases(seed)
        bound = bind(tree, batch.schema)
        expected = answer(duck, batch, tree)
        assert evaluate(bound, batch).to_pylist() == expected, (seed, to_sql(tree))
        assert evaluate(simplify(bound), batch).to_pylist() == expected, (seed, to_sql(simplify(bound)))
        assert filter_batch(bound, batch).num_rows == expected.count(True), seed


def test_a_predicate_written_as_sql_is_read_as_the_same() -> None:
    for seed in range(1000, 1300):
        batch, tree = cases(seed)
        bound = bind(tree, batch.schema)
        read = parse(to_sql(bound))
        assert bind(read, batch.schema) == bound, seed
        assert parse(to_sql(read)) == read, seed
        assert bind(bound, batch.schema) == bound, seed


NAN, INF = float("nan"), float("inf")


def decimals(texts: list[str | None], type_: pa.DataType) -> pa.Array:
    return pa.array([None if text is None else Decimal(text) for text in texts], type_)


PREDICATES = [
    line
    for line in Path(__file__).with_name("predicates.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
WIDE = pa.record_batch(
    {
        "i8": pa.array([-128, -1, 0, 1, 5, 127, None], pa.int8()),
        "i64": pa.array([-(2**63), -1, 0, 2, 5, 2**62, None], pa.int64()),
        "u8": pa.array([0, 1, 2, 5, 200, 255, None], pa.uint8()),
        "u64": pa.array([0, 1, 2, 5, 2**63, 2**64 - 1, None], pa.uint64()),
        "f32": pa.array([0.1, -0.0, 1.5, NAN, INF, 5.0, None], pa.float32()),
        "f64": pa.array([0.1, -0.0, 1.5, NAN, INF, 5.0, None], pa.float64()),
        "d1": decimals(["-999.9", "0.1", "1.5", "5.0", "0", None, None], pa.decimal128(4, 1)),
        "d3": decimals(["1.500", "0.100", "1.501", "5.000", "0", None, None], pa.decimal128(18, 3)),
        "s": pa.array(["JFK", "jfk", "  é ", "", "LONG" * 10, "5", None]),
        "b": pa.array([True, False, None, True, False, None, True]),
        "day": pa.array([0, 15_706, 15_857, -1, 1, 365, None], pa.int32()).cast(pa.date32()),
        "ts": pa.array([0, 1, 1_370_044_800_000_000, -1, 86_400_000_000, 10**15, None], pa.timestamp("us")),
        "ms": pa.array([0, 1, 1_370_044_800_000, -1, 86_400_000, 10**12, None], pa.timestamp("ms")),
        "tz": pa.array([0, 1, 1_370_044_800_000_000, -1, 86_400_000_000, 10**15, None], pa.timestamp("us", "UTC")),
        "clock": pa.array([0, 1, 43_200_000_000, 5, 6, 7, None], pa.time64("us")),
    }
)


@pytest.mark.parametrize("text", PREDICATES)
def test_a_predicate_in_sql_says_what_duckdb_says(duck: Any, text: str) -> None:
    expected = answer(duck, WIDE, text)
    assert ask(text, WIDE) == expected
    bound = bind(parse(text), WIDE.schema)
    assert evaluate(simplify(bound), WIDE).to_pylist() == expected
    assert bind(parse(to_sql(bound)), WIDE.schema) == bound


@pytest.mark.parametrize(
    "text, values, type_, expected",
    [
        # DuckDB has one zone for all columns; here every column has its own.
        ("c >= '2013-06-01'", [1_370_059_199, 1_370_059_200], pa.timestamp("s", "America/New_York"), [False, True]),
        ("hour(c) = 19", [0, 3600], pa.timestamp("s", "America/New_York"), [True, False]),
        ("CAST(c AS DATE) = '1969-12-31'", [0, 86_400], pa.timestamp("s", "America/New_York"), [True, False]),
        ("c = '1970-01-01 00:00:00Z'", [0, 1], pa.timestamp("ns", "Asia/Tokyo"), [True, False]),
        ("c > TIMESTAMP '1970-01-01 00:00:00.000000001'", [1, 2], pa.timestamp("ns"), [False, True]),
        ("c IN ('1970-01-01 00:00:00.000000001')", [1, 2], pa.timestamp("ns"), [True, False]),
        # DuckDB has no decimals of 256 bits, no half floats, and writes no durations.
        ("c > 1.5", [1, 2], pa.decimal256(50, 5), [False, True]),
        ("c - 1 >= 1", [1, 2], pa.decimal128(38, 2), [False, True]),
        ("-c * 2 = -4 AND c + c = 2 * c", [1, 2], pa.decimal128(38, 2), [False, True]),
        ("2 > c * c * c", [1, 2], pa.decimal128(24, 0), [True, False]),
        ("c >= 1.5 AND c IN (2)", [1.5, 2.0], pa.float16(), [False, True]),
        ("c = c", [1, None], pa.duration("ns"), [True, None]),
        ("c = 'abc'", [b"abc", b"ab\x00"], pa.binary(3), [True, False]),
        ("c = 'ab'", [b"abc", b"ab\x00"], pa.binary(3), [False, False]),
        (r"c IN ('ab\x00', 'x')", [b"abc", b"ab\x00"], pa.binary(3), [False, True]),
        ("c > 1", [None, None], pa.null(), [None, None]),
        ("c IS NULL", [[1], None], pa.list_(pa.int8()), [False, True]),
    ],
)
def test_types_that_duckdb_has_not_follow_the_same_rules(
    text: str, values: list[object], type_: pa.DataType, expected: list[bool | None]
) -> None:
    if type_ == pa.float16():
        values = [np.float16(value) for value in values]
    assert ask(text, pa.record_batch({"c": pa.array(values, type_)})) == expected


@pytest.mark.parametrize(
    "text, message",
    [
        ("b OR i64 + i64 > 0", "'\\+': overflow"),
        ("b OR i8 % 0 = 1", "'%': division by zero"),
        ("b OR CAST(s AS BIGINT) = 5", "CAST"),
    ],
)
def test_a_value_that_breaks_a_predicate_is_our_error_with_its_place(text: str, message: str) -> None:
    with pytest.raises(PredicateError, match=f"cannot compute {message}") as caught:
        ask(text, WIDE)
    assert caught.value.position in (len("b OR "), len("b OR CAST("))
    assert "\n  " + text in str(caught.value)


def test_filter_keeps_the_true_rows_and_plain_columns() -> None:
    batch = pa.record_batch({"n": [1, None, 3], "v": pa.array(["a", "b", None], pa.string_view())})
    kept = filter_batch(bind(parse("n > 1"), batch.schema), batch)
    assert kept.to_pydict() == {"n": [3], "v": [None]}
    assert filter_batch(bind(parse("n > 5"), batch.schema), batch).num_rows == 0
    assert filter_batch(bind(parse("TRUE"), batch.schema), batch).num_rows == 3


def test_a_batch_without_the_column_names_it() -> None:
    bound = bind(parse("n > 1"), pa.schema([("n", pa.int8())]))
    with pytest.raises(UnknownColumnError, match="no column 'n'"):
        evaluate(bound, pa.record_batch({"m": [1]}))


def test_an_empty_batch_gives_an_empty_answer() -> None:
    assert ask("i8 > 1 AND s LIKE 'a%' AND i8 % 2 = 1 AND TRUE", WIDE.slice(0, 0)) == []
    assert ask("TRUE", WIDE.slice(0, 0)) == []
