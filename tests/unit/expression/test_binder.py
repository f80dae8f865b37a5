from __future__ import annotations

import pyarrow as pa
import pytest

from esker.errors import PredicateError, UnknownColumnError
from esker.expression import Column, Compare, Literal, bind, columns, parse

SCHEMA = pa.schema(
    [
        ("month", pa.int8()),
        ("delay", pa.int64()),
        ("origin", pa.string()),
        ("price", pa.decimal128(9, 2)),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", "UTC")),
        ("clock", pa.timestamp("ms")),
        ("ok", pa.bool_()),
        ("tags", pa.list_(pa.string())),
        ("Carrier", pa.string()),
        ("carrier", pa.string()),
    ]
)


@pytest.mark.parametrize(
    "text, message, pointed_at",
    [
        ("ok AND delay > 'late'", "column 'delay': 'late' is no number, so not a value of int64", "'late'"),
        ("ok AND origin = 5", "column 'origin' is string, but 5 is int64; write '5' in quotes", "5"),
        ("ok AND day > 'soon'", "column 'day': 'soon' is not a value of date32.*write it like '2013-06-01'", "'soon'"),
        ("ok AND day > '2013-02-30'", "'2013-02-30' is not a value of date32", "'2013-02-30'"),
        ("ok AND at > '2013-01-01 25:00'", "is not a value of timestamp", "'2013-01-01 25:00'"),
        ("ok AND clock > '2013-01-01 10:00+02'", "has a zone, but timestamp.ms. has none", "'2013"),
        ("ok AND day > 5", "column 'day': 5 is not a value of date32", "5"),
        ("ok AND delay = DATE '2013-01-01'", "column 'delay' is int64, but .* is date32", "'2013-01-01'"),
        ("ok AND price = 'dear'", "column 'price': 'dear' is no number", "'dear'"),
        ("ok = 3", "column 'ok': 3 is not a value of bool", "3"),
        ("ok AND delay", "AND wants true or false, but column 'delay' is int64", "delay"),
        ("delay", "the predicate wants true or false", "delay"),
        ("NOT origin", "NOT wants true or false", "origin"),
        ("ok AND tags = 'x'", "column 'tags' is list<.*>, which predicates cannot look into", "tags"),
        ("ok AND origin = delay", "cannot compare column 'origin', a string, with column 'delay', a int64", "origin"),
        ("ok AND at < clock", "cannot compare column 'at'", "at"),
        ("ok AND delay LIKE 'x'", "LIKE takes text, but column 'delay' is int64", "delay"),
        ("ok AND origin + 1 > 2", r"'\+' takes numbers, but column 'origin' is string", "origin"),
        ("ok AND day + 1 > '2013-01-01'", r"'\+' takes numbers, but column 'day'", "day"),
        ("ok AND price % 2 = 1", "% takes integers and floating numbers", "price"),
        ("ok AND year(delay) = 1", "year takes a date or a time, but column 'delay' is int64", "year"),
        ("ok AND contains(origin, Carrier)", "contains takes a constant in quotes", "contains"),
        ("ok AND CAST(day AS BIGINT) = 1", "column 'day' is date32.*, which cannot be cast to int64", "day"),
        ("ok AND CAST(clock AS TIMESTAMPTZ) = at", "without a zone", "clock"),
    ],
)
def test_what_does_not_fit_names_column_type_and_constant(text: str, message: str, pointed_at: str) -> None:
    with pytest.raises(PredicateError, match=message) as caught:
        bind(parse(text), SCHEMA)
    position = caught.value.position
    assert position is not None
    assert text[position:].startswith(pointed_at)


def test_an_unknown_column_is_met_with_the_nearest_name() -> None:
    with pytest.raises(UnknownColumnError, match="no column 'orign'; did you mean 'origin'"):
        bind(parse("delay > 5 AND orign = 'JFK'"), SCHEMA)


def test_double_quotes_around_text_are_explained() -> None:
    with pytest.raises(UnknownColumnError, match="text goes into single quotes: 'JFK'"):
        bind(parse('origin = "JFK"'), SCHEMA)


def test_a_column_is_found_in_any_case_unless_two_would_do() -> None:
    assert columns(bind(parse("MONTH = 1"), SCHEMA)) == {"month"}
    assert columns(bind(parse("carrier = 'AA' OR Carrier = 'AA'"), SCHEMA)) == {"carrier", "Carrier"}
    with pytest.raises(UnknownColumnError):
        bind(parse("CARRIER = 'AA'"), SCHEMA)


@pytest.mark.parametrize(
    "text, op, value, type_",
    [
        ("month = 6", "=", 6, pa.int8()),
        ("6 < month", ">", 6, pa.int8()),
        ("month < 6.5", "<=", 6, pa.int8()),
        ("month >= 6.5", ">", 6, pa.int8()),
        ("month >= -6.5", ">", -7, pa.int8()),
        ("month <= 1e300", "<=", 127, pa.int8()),
        ("month = 1000", ">", 127, pa.int8()),
        ("month > 'NaN'", ">", 127, pa.int8()),
        ("month > '-Infinity'", "<=", 127, pa.int8()),
        ("delay = '5'", "=", 5, pa.int64()),
    ],
)
def test_constants_take_the_type_of_the_column_and_leave_it_bare(
    text: str, op: str, value: object, type_: pa.DataType
) -> None:
    bound = bind(parse(text), SCHEMA)
    assert isinstance(bound, Compare)
    assert isinstance(bound.left, Column)
    assert (bound.op, bound.right) == (op, Literal(pa.scalar(value, type_)))


def test_views_and_dictionaries_are_bound_as_their_values() -> None:
    schema = pa.schema([("v", pa.string_view()), ("d", pa.dictionary(pa.int8(), pa.string()))])
    assert bind(parse("v = 'x' OR d = v"), schema) == parse("v = 'x' OR d = v")
