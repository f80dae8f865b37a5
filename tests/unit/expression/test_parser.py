from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from esker.errors import PredicateError
from esker.expression import (
    And,
    Arithmetic,
    Call,
    Cast,
    Column,
    Compare,
    Expression,
    InList,
    IsNull,
    Like,
    Literal,
    Negate,
    Not,
    Or,
    parse,
    to_sql,
)

A, B = Column("a"), Column("b")


def literal(value: object, type_: pa.DataType | None = None) -> Literal:
    return Literal(pa.scalar(value, type_))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a = 1", Compare("=", A, literal(1))),
        ("a <> 'it''s'", Compare("!=", A, literal("it's"))),
        ('"we ird" != 1', Compare("!=", Column("we ird"), literal(1))),
        ("1 < a AND a <= b", And((Compare("<", literal(1), A), Compare("<=", A, B)))),
        ("a OR b AND NOT a", Or((A, And((B, Not(A)))))),
        ("(a OR b) AND a AND b", And((Or((A, B)), A, B))),
        ("a BETWEEN 1 AND 2", And((Compare(">=", A, literal(1)), Compare("<=", A, literal(2))))),
        ("a NOT BETWEEN 1 AND 2", Not(And((Compare(">=", A, literal(1)), Compare("<=", A, literal(2)))))),
        ("a IN (1, NULL)", InList(A, (literal(1), literal(None)))),
        ("a NOT IN ('x')", Not(InList(A, (literal("x"),)))),
        ("a IS NULL", IsNull(A)),
        ("a IS NOT NULL", Not(IsNull(A))),
        ("a IS TRUE", And((Not(IsNull(A)), A))),
        ("a LIKE 'x%'", Like(A, "x%", True)),
        ("a NOT LIKE 'x%'", Not(Like(A, "x%", True))),
        ("a ILIKE 'x_'", Like(A, "x_", False)),
        (r"a LIKE 'x\%'", Like(A, r"x\\%", True)),
        ("a LIKE 'x!%!!' ESCAPE '!'", Like(A, r"x\%!", True)),
        ("a + 1 * b % 2 - a / b > 0", None),
        ("-a = -5", Compare("=", Negate(A), literal(-5))),
        ("a = -9223372036854775808", Compare("=", A, literal(-(2**63)))),
        ("a = 9223372036854775808", Compare("=", A, literal(Decimal(2**63), pa.decimal128(19, 0)))),
        ("a = 1.50", Compare("=", A, literal(Decimal("1.50"), pa.decimal128(3, 2)))),
        ("a = .5", Compare("=", A, literal(Decimal("0.5"), pa.decimal128(1, 1)))),
        ("a = 15e-1", Compare("=", A, literal(1.5))),
        ("a = TRUE", Compare("=", A, literal(True))),
        ("a = DATE '2013-01-01'", Compare("=", A, literal(15_706, pa.int32()))),
        ("lower(a) = 'x'", Compare("=", Call("lower", (A,)), literal("x"))),
        ("EXTRACT(year FROM a) = year(b)", Compare("=", Call("year", (A,)), Call("year", (B,)))),
        ("CAST(a AS INT) = b::DECIMAL(9, 2)", Compare("=", Cast(A, pa.int32()), Cast(B, pa.decimal128(9, 2)))),
        ("a = 1 -- that is all\n;", Compare("=", A, literal(1))),
        ("src.a < b.c.d", Compare("<", Column("src.a"), Column("b.c.d"))),
    ],
)
def test_sql_becomes_a_tree_and_the_tree_sql(text: str, expected: Expression | None) -> None:
    found = parse(text)
    if expected is None:
        one = Arithmetic("%", Arithmetic("*", literal(1), B), literal(2))
        expected = Compare(">", Arithmetic("-", Arithmetic("+", A, one), Arithmetic("/", A, B)), literal(0))
    if "DATE" in text:
        expected = Compare("=", A, Literal(pa.scalar(15_706, pa.int32()).cast(pa.date32())))
    assert found == expected
    assert parse(to_sql(found)) == found


@pytest.mark.parametrize(
    "text, message, pointed_at",
    [
        ("delay > AND b", "something is missing after 'AND'", "AND b"),
        ("delay >", "something is missing after '>'", ">"),
        ("a b c", "did not expect 'b'", "b c"),
        ("a = 1; DROP TABLE x", "did not expect 'DROP'", "DROP"),
        ("a = 1 LIMIT 5", "did not expect 'LIMIT'", "LIMIT"),
        ("SELECT 1", "did not expect 'SELECT'", "SELECT"),
        ("b = 'open", "a quote is not closed", "'open"),
        ("'x' = \"open", "a quote is not closed", '"open'),
        ("b AND a IN (SELECT 1)", "a subquery in a predicate is not understood", "a IN"),
        ("b AND sum(a) > 3", r"sum\(\) is an aggregate", "sum"),
        ("b AND row_number() OVER () > 1", "a window function", "row_number"),
        ("b AND foo(a) = 1", "no function foo; there is: lower", "foo"),
        ("b AND lower(a, b) = 'x'", r"did not expect '\)'", ") ="),
        ("b AND a // 2 = 1", "'a // 2' is not understood", "a //"),
        ("b AND a = 1 = b", "comparisons are not chained", "a = 1"),
        ("b AND a IN (b)", "IN takes constants only", "b)"),
        ("b AND a LIKE b", "LIKE takes a pattern in quotes", "b"),
        ("b AND a::GEOMETRY = 1", "no type GEOMETRY", "a::"),
        ("b AND a = DATE 'soon'", "'soon' is not a value of date32", "'soon'"),
        ("b AND a = 1::TINYINT + 300::TINYINT", "300 is not a value of int8", "300"),
        ("b AND a IN ()", "the list of IN is empty", "a IN"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(text: str, message: str, pointed_at: str) -> None:
    with pytest.raises(PredicateError, match=message) as caught:
        parse(text)
    position = caught.value.position
    assert position is not None
    assert text[position:].startswith(pointed_at)
    shown, caret = str(caught.value).splitlines()[-2:]
    assert shown == "  " + text
    assert caret == "  " + " " * position + "^"


@pytest.mark.parametrize(
    "text", ["", "  ", ";", "?", "a = $1", "a = :x", "()", "[1]", "{'a': 1}", "*", "a > INTERVAL '1 day'"]
)
def test_what_is_no_predicate_is_refused(text: str) -> None:
    with pytest.raises(PredicateError):
        parse(text)


def test_the_caret_of_a_long_predicate_is_on_its_one_line() -> None:
    with pytest.raises(PredicateError) as caught:
        parse("a > 1\n  AND b >\n")
    assert str(caught.value).splitlines()[1:] == ["  a > 1   AND b >", " " * 16 + "^"]


def test_a_nest_too_deep_is_our_error() -> None:
    with pytest.raises(PredicateError, match="nested too deeply"):
        parse("(" * 5000 + "a" + ")" * 5000)


def test_a_long_chain_is_not_deep() -> None:
    found = parse(" OR ".join(f"a = {number}" for number in range(2000)))
    assert isinstance(found, Or)
    assert len(found.parts) == 2000


def test_positions_take_no_part_in_equality() -> None:
    assert parse("a = 1") == parse("   a   =   1")
    assert hash(parse("a = 1.0")) == hash(parse(" a = 1.0"))
