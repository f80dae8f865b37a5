from __future__ import annotations

import pyarrow as pa
import pytest

from esker.expression import bind, conjunction, conjuncts, parse, simplify, to_sql

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("f", pa.float64()), ("p", pa.bool_()), ("q", pa.bool_())])


@pytest.mark.parametrize(
    "text, expected",
    [
        ("NOT a > 1", "a <= 1"),
        ("NOT f > 1", "f <= 1e0"),
        ("NOT (p AND NOT q)", "NOT p OR q"),
        ("NOT (p OR a = 1)", "NOT p AND a != 1"),
        ("NOT NOT p", "p"),
        ("NOT a IN (1, 2)", "NOT a IN (1, 2)"),
        ("p AND (q AND (a = 1 AND p))", "p AND q AND a = 1"),
        ("p OR (q OR p)", "p OR q"),
        ("p AND TRUE", "p"),
        ("p AND FALSE", "FALSE"),
        ("p OR TRUE", "TRUE"),
        ("p OR FALSE", "p"),
        ("p AND NULL", "p AND NULL"),
        ("TRUE AND TRUE", "TRUE"),
        ("a = NULL OR p", "NULL OR p"),
        ("a > 1 + 2 * 3", "a > 7"),
        ("1 IN (1, 2) AND p", "p"),
        ("'abc' LIKE 'a%' AND lower('X') = 'x' AND p", "p"),
        ("NULL IS NULL", "TRUE"),
        ("a > 9223372036854775807 + 1", "a > 9223372036854775807 + 1"),
    ],
)
def test_a_predicate_becomes_shorter_and_means_the_same(text: str, expected: str) -> None:
    found = simplify(bind(parse(text), SCHEMA))
    assert found == bind(parse(expected), SCHEMA)
    assert simplify(found) == found


def test_conjuncts_and_conjunction_undo_each_other() -> None:
    tree = parse("a = 1 AND (p OR q) AND NOT p")
    assert [to_sql(part) for part in conjuncts(tree)] == ['"a" = 1', '"p" OR "q"', 'NOT ("p")']
    assert conjunction(conjuncts(tree)) == tree
    assert conjunction([]) == parse("TRUE")
    assert conjunction([parse("p")]) == parse("p")
