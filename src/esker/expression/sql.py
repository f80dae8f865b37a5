"""A tree back to SQL, which `parse` and DuckDB read alike."""

from __future__ import annotations

import math

import pyarrow as pa

from esker.expression.nodes import (
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
    VectorRange,
)
from esker.expression.sql_types import type_name


def to_sql(expression: Expression) -> str:
    """Write a tree as SQL.

    >>> from esker.expression import parse
    >>> to_sql(parse("month IN (6, 7) and not origin <> 'JFK' and delay between 1 and 2.50"))
    '"month" IN (6, 7) AND NOT ("origin" != \\'JFK\\') AND ("delay" >= 1 AND "delay" <= 2.50)'

    Reading it again gives an equal tree, or, for one that is bound, a tree that binds to an equal one.
    """
    if isinstance(expression, And | Or):
        word = " AND " if isinstance(expression, And) else " OR "
        return word.join(
            _inner(part, tight=isinstance(part, Or) or type(part) is type(expression)) for part in expression.parts
        )
    if isinstance(expression, Column):
        return '"' + expression.name.replace('"', '""') + '"'
    if isinstance(expression, Literal):
        return _literal(expression.value)
    if isinstance(expression, Compare | Arithmetic):
        return f"{_operand(expression.left)} {expression.op} {_operand(expression.right)}"
    if isinstance(expression, Not):
        return f"NOT ({to_sql(expression.part)})"
    if isinstance(expression, IsNull):
        return f"{_operand(expression.part)} IS NULL"
    if isinstance(expression, Negate):
        return f"-({to_sql(expression.part)})"
    if isinstance(expression, InList):
        return f"{_operand(expression.part)} IN ({', '.join(to_sql(value) for value in expression.values)})"
    if isinstance(expression, Like):
        return _like(expression)
    if isinstance(expression, Cast):
        return f"CAST({to_sql(expression.part)} AS {type_name(expression.type)})"
    if isinstance(expression, VectorRange):
        return f"R:[{expression.first},{expression.last}]"
    assert isinstance(expression, Call), type(expression)
    return f"{expression.name}({', '.join(to_sql(arg) for arg in expression.args)})"


def _inner(part: Expression, *, tight: bool) -> str:
    return f"({to_sql(part)})" if tight else to_sql(part)


def _operand(part: Expression) -> str:
    return to_sql(part) if isinstance(part, Column | Literal | Call | Cast) else f"({to_sql(part)})"


def _like(like: Like) -> str:
    word = "LIKE" if like.case_sensitive else "ILIKE"
    escape = " ESCAPE '\\'" if "\\" in like.pattern else ""
    return f"{_operand(like.part)} {word} {_quoted(like.pattern)}{escape}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(value: pa.Scalar) -> str:
    type_ = value.type
    if not value.is_valid:
        return "NULL" if pa.types.is_null(type_) else f"CAST(NULL AS {type_name(type_)})"
    if pa.types.is_boolean(type_):
        return "TRUE" if value.as_py() else "FALSE"
    if pa.types.is_floating(type_):
        return _float(value)
    if pa.types.is_integer(type_):
        return str(value.as_py())
    if pa.types.is_decimal(type_):
        return format(value.as_py(), "f")
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return _quoted(value.as_py())
    if pa.types.is_temporal(type_):
        return f"{type_name(type_)} {_quoted(_clock(value))}"
    return f"CAST({_quoted(_blob(value.as_py()))} AS BLOB)"


def _float(value: pa.Scalar) -> str:
    number = value.as_py()
    if not math.isfinite(number):
        return f"CAST('{number}' AS {type_name(value.type)})"
    text = repr(float(number))
    text = text if "e" in text else text + "e0"
    return text if pa.types.is_float64(value.type) else f"CAST({text} AS {type_name(value.type)})"


def _clock(value: pa.Scalar) -> str:
    """Dates and times as ISO text; instants in UTC."""
    if getattr(value.type, "tz", None) is not None:
        return str(value.cast(pa.timestamp(value.type.unit)).cast(pa.string())) + "+00:00"
    return str(value.cast(pa.string()))


def _blob(value: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02X}" for byte in value)
