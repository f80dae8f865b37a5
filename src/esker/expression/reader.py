"""sqlglot's tree to ours: the part of SQL that predicates are; the rest is refused by name and place."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from esker.errors import PredicateError
from esker.expression.exact import literal_of_text
from esker.expression.functions import FUNCTIONS
from esker.expression.nodes import (
    And,
    Arithmetic,
    Call,
    Cast,
    Column,
    Compare,
    CompareOp,
    Expression,
    InList,
    IsNull,
    Like,
    Literal,
    Negate,
    Not,
    Or,
    Position,
)
from esker.expression.sql_types import type_of_name

_COMPARE: dict[str, CompareOp] = {"EQ": "=", "NEQ": "!=", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "Mod": "%"}
# Where sqlglot's name of a function is not ours.
_FUNCTION_NAMES = {"is_nan": "isnan", "day_of_week": "dayofweek", "day_of_year": "dayofyear", "day_of_month": "day"}


class Reader:
    """One pass over sqlglot's tree."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, node: Any) -> Expression:
        name = type(node).__name__
        if name == "Paren":
            return self.read(node.this)
        if name in ("And", "Or"):
            parts = tuple(self.read(part) for part in node.flatten())
            return And(parts, position=self._at(node)) if name == "And" else Or(parts, position=self._at(node))
        if name in _COMPARE:
            return self._compare(node, _COMPARE[name])
        if name in _ARITHMETIC:
            left, right = self.read(node.this), self.read(node.expression)
            return Arithmetic(_ARITHMETIC[name], left, right, position=self._at(node))  # type: ignore[arg-type]  # the table's values are operators
        reader: Callable[[Any], Expression] = getattr(self, f"_read_{name.lower()}", self._call)
        return reader(node)

    def _compare(self, node: Any, op: CompareOp) -> Expression:
        for side in (node.this, node.expression):
            if type(side).__name__ in _COMPARE:
                raise self._refuse(node, "comparisons are not chained", "join them with AND")
        return Compare(op, self.read(node.this), self.read(node.expression), position=self._at(node))

    def _read_column(self, node: Any) -> Expression:
        if type(node.this).__name__ == "Star":
            raise self._refuse(node, "* is not a column")
        # A predicate is on one input, so a name before the dot is no table: it is how triplets and motifs call columns.
        return Column(".".join(part.name for part in node.parts), position=self._at(node))

    def _read_literal(self, node: Any) -> Expression:
        if node.is_string:
            return Literal(pa.scalar(node.this), position=self._at(node))
        return Literal(number(node.this), position=self._at(node))

    def _read_boolean(self, node: Any) -> Expression:
        return Literal(pa.scalar(bool(node.this)))

    def _read_null(self, node: Any) -> Expression:
        return Literal(pa.scalar(None))

    def _read_not(self, node: Any) -> Expression:
        return Not(self.read(node.this), position=self._at(node))

    def _read_neg(self, node: Any) -> Expression:
        inner = node.this
        if type(inner).__name__ == "Literal" and not inner.is_string:
            return Literal(number("-" + inner.this), position=self._at(inner, -1))
        return Negate(self.read(inner), position=self._at(node))

    def _read_between(self, node: Any) -> Expression:
        part, at = self.read(node.this), self._at(node)
        low, high = self.read(node.args["low"]), self.read(node.args["high"])
        if node.args.get("symmetric"):
            raise self._refuse(node, "BETWEEN SYMMETRIC is not understood")
        return And((Compare(">=", part, low, position=at), Compare("<=", part, high, position=at)), position=at)

    def _read_in(self, node: Any) -> Expression:
        if node.args.get("query") is not None:
            raise self._refuse(node, "a subquery in a predicate is not understood", "join instead")
        values = [self.read(value) for value in node.expressions]
        for value, source in zip(values, node.expressions, strict=True):
            if not isinstance(value, Literal):
                raise self._refuse(source, "IN takes constants only", "write = and OR for columns")
        if not values:
            raise self._refuse(node, "the list of IN is empty")
        part = self.read(node.this)
        return InList(part, tuple(value for value in values if isinstance(value, Literal)), position=self._at(node))

    def _read_is(self, node: Any) -> Expression:
        part, right, at = self.read(node.this), node.expression, self._at(node)
        if type(right).__name__ == "Null":
            return IsNull(part, position=at)
        if type(right).__name__ == "Boolean":
            known = Not(IsNull(part), position=at)
            return And((known, part if right.this else Not(part, position=at)), position=at)
        raise self._refuse(right, "IS takes NULL, TRUE or FALSE")

    def _read_nullsafeeq(self, node: Any) -> Expression:
        left, right, at = self.read(node.this), self.read(node.expression), self._at(node)
        both = And((IsNull(left), IsNull(right)))
        equal = And((Not(IsNull(left)), Not(IsNull(right)), Compare("=", left, right, position=at)))
        return Or((both, equal), position=at)

    def _read_nullsafeneq(self, node: Any) -> Expression:
        return Not(self._read_nullsafeeq(node), position=self._at(node))

    def _read_like(self, node: Any, escape: str = "", case_sensitive: bool = True) -> Expression:
        pattern = self.read(node.expression)
        if not isinstance(pattern, Literal) or not pa.types.is_string(pattern.value.type):
            raise self._refuse(node.expression, "LIKE takes a pattern in quotes")
        text = _pattern(pattern.value.as_py(), escape)
        found = Like(self.read(node.this), text, case_sensitive, position=self._at(node))
        return Not(found, position=self._at(node)) if node.args.get("negate") else found

    def _read_ilike(self, node: Any) -> Expression:
        return self._read_like(node, case_sensitive=False)

    def _read_escape(self, node: Any) -> Expression:
        inner, escape = node.this, self.read(node.expression)
        character = escape.value.as_py() if isinstance(escape, Literal) else None
        if type(inner).__name__ not in ("Like", "ILike") or not isinstance(character, str) or len(character) != 1:
            raise self._refuse(node, "ESCAPE takes one character in quotes, after LIKE")
        return self._read_like(inner, character, type(inner).__name__ == "Like")

    def _read_cast(self, node: Any) -> Expression:
        to, at = node.to, self._at(node)
        parameters = [int(parameter.this.this) for parameter in to.expressions if parameter.this.is_int]
        type_ = type_of_name(to.this.name if hasattr(to.this, "name") else str(to.this), parameters)
        if type_ is None:
            raise self._refuse(node, f"no type {to.sql(dialect='duckdb')}")
        part = self.read(node.this)
        if isinstance(part, Literal):
            return Literal(literal_of_text(part, type_), position=at)
        return Cast(part, type_, position=at)

    def _read_extract(self, node: Any) -> Expression:
        return self._checked_call(node, node.name.lower(), [node.expression])

    def _call(self, node: Any) -> Expression:
        from sqlglot import exp

        if isinstance(node, exp.Subquery | exp.Exists | exp.Query):
            raise self._refuse(node, "a subquery in a predicate is not understood", "join instead")
        if isinstance(node, exp.AggFunc):
            raise self._refuse(node, f"{node.key}() is an aggregate, and a predicate looks at one row at a time")
        if isinstance(node, exp.Window):
            raise self._refuse(node, "a window function in a predicate is not understood")
        if isinstance(node, exp.Placeholder | exp.Parameter):
            raise self._refuse(node, "placeholders are not filled in here", "write the value itself")
        if not isinstance(node, exp.Func):
            raise self._refuse(node, f"{node.sql(dialect='duckdb')[:80]!r} is not understood in a predicate")
        name = node.name.lower() if isinstance(node, exp.Anonymous) else node.sql_name().lower()
        values = node.expressions if isinstance(node, exp.Anonymous) else _arguments(node)
        return self._checked_call(node, _FUNCTION_NAMES.get(name, name), values)

    def _checked_call(self, node: Any, name: str, values: list[Any]) -> Expression:
        if name not in FUNCTIONS:
            raise self._refuse(node, f"no function {name}", f"there is: {', '.join(FUNCTIONS)}")
        wanted = len(FUNCTIONS[name].takes)
        if len(values) != wanted:
            raise self._refuse(node, f"{name} takes {wanted} argument{'s' if wanted > 1 else ''}, not {len(values)}")
        return Call(name, tuple(self.read(value) for value in values), position=self._at(node))

    def _at(self, node: Any, shift: int = 0) -> Position | None:
        starts = [found.meta["start"] for found in node.walk() if "start" in found.meta]
        return Position(self._text, max(min(starts) + shift, 0)) if starts else None

    def _refuse(self, node: Any, what: str, advice: str = "") -> PredicateError:
        at = self._at(node)
        message = f"{what}; {advice}" if advice else what
        return PredicateError(message, self._text, at.offset if at is not None else None)


def number(text: str) -> pa.Scalar:
    """Type a number as SQL does: 7 is a BIGINT (a DECIMAL beyond), 7.0 a DECIMAL, 7e0 a DOUBLE.

    >>> number("7").type, number("7.50").type, number("7e0").type
    (DataType(int64), Decimal128Type(decimal128(3, 2)), DataType(double))
    """
    if re.search("[eE]", text):
        return pa.scalar(float(text))
    value = Decimal(text)
    if "." not in text and -(2**63) <= value < 2**63:
        return pa.scalar(int(value))
    digits = len(value.as_tuple().digits)
    scale = -int(value.as_tuple().exponent)
    precision = max(digits, scale)
    if precision > 76:
        return pa.scalar(float(text))
    type_ = pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    return pa.scalar(value, type_)


def _pattern(text: str, escape: str) -> str:
    """The pattern with `escape` (none in DuckDB unless given) turned into our backslash."""
    written = []
    characters = iter(text)
    for character in characters:
        if escape and character == escape:
            following = next(characters, "")
            written.append("\\" + following if following in ("%", "_", "\\") else following)
        else:
            written.append("\\\\" if character == "\\" else character)
    return "".join(written)


def _arguments(node: Any) -> list[Any]:
    found: list[Any] = []
    for name in node.arg_types:
        value = node.args.get(name)
        if isinstance(value, list):
            found += value
        elif hasattr(value, "walk"):
            found.append(value)
    return found
