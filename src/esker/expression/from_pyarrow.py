"""A pyarrow expression as our tree, read from its Substrait message."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pyarrow as pa

from esker.errors import PredicateError
from esker.expression.nodes import (
    And,
    Arithmetic,
    Call,
    Column,
    Compare,
    CompareOp,
    Expression,
    InList,
    IsNull,
    Literal,
    Not,
    Or,
)

# Field numbers of Substrait's messages (proto/substrait/extended_expression.proto, algebra.proto).
_DECLARATIONS, _EXPRESSIONS = 2, 3
_FUNCTION_OF_DECLARATION, _ANCHOR, _NAME = 3, 2, 3
_LITERAL, _SELECTION, _SCALAR_FUNCTION, _IF_THEN, _OR_LIST, _CAST = 1, 2, 3, 6, 8, 11
_COMPARE: dict[str, CompareOp] = {
    "equal": "=", "not_equal": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">=",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
}  # fmt: skip
_ARITHMETIC = {"add": "+", "subtract": "-", "multiply": "*"}
_CALLS = {"starts_with": "starts_with", "ends_with": "ends_with", "lower": "lower", "upper": "upper"}
# Kinds of Type (type.proto).
_INT64, _FLOAT64, _DECIMAL = 7, 11, 24
_AND = ("and", "and_kleene")
_SIGNED = {2: pa.int8(), 3: pa.int16(), 5: pa.int32(), 7: pa.int64()}


def from_pyarrow(expression: Any, schema: pa.Schema) -> Expression:
    """Translate a pyarrow expression; PredicateError names what has no like in a predicate of ours.

    >>> import pyarrow.compute as pc
    >>> from esker.expression import to_sql
    >>> schema = pa.schema([("age", pa.int32()), ("city", pa.string())])
    >>> to_sql(from_pyarrow((pc.field("age") > 50) & pc.field("city").isin(["Tacoma"]), schema))
    '"age" > 50 AND (NOT ("city" IS NULL) AND "city" IN (\\'Tacoma\\'))'
    """
    reader, tree = _opened(expression, schema)
    return reader.read(tree)


def known_conjuncts(expression: Any, schema: pa.Schema) -> list[Expression]:
    """Translate those parts between the outer ANDs that have a like in ours: together they let more rows pass.

    >>> import pyarrow.compute as pc
    >>> from esker.expression import to_sql
    >>> schema = pa.schema([("age", pa.int32()), ("city", pa.string())])
    >>> known = known_conjuncts((pc.field("age") > 50) & (pc.utf8_length(pc.field("city")) < 8), schema)
    >>> [to_sql(part) for part in known]
    ['"age" > 50']
    """
    reader, tree = _opened(expression, schema)
    found = []
    for part in reader.conjuncts(tree):
        with suppress(PredicateError):
            found.append(reader.read(part))
    return found


def _opened(expression: Any, schema: pa.Schema) -> tuple[_Reader, memoryview]:
    try:
        message = memoryview(expression.to_substrait(_widened(schema), allow_arrow_extensions=True))
    except (pa.ArrowException, TypeError) as error:
        raise PredicateError(f"the pyarrow expression {expression} does not fit the columns: {error}") from error
    names: dict[int, str] = {}
    trees: list[memoryview] = []
    for field, body in _fields(message):
        if field == _DECLARATIONS:
            declared = dict(_fields(dict(_fields(body)).get(_FUNCTION_OF_DECLARATION, memoryview(b""))))
            names[int(declared.get(_ANCHOR, 0))] = bytes(declared.get(_NAME, b"")).decode().partition(":")[0]
        elif field == _EXPRESSIONS:
            trees.append(dict(_fields(body))[1])
    if len(trees) != 1:
        raise PredicateError(f"the pyarrow expression {expression} is {len(trees)} expressions")
    return _Reader(names, schema), trees[0]


class _Reader:
    def __init__(self, names: dict[int, str], schema: pa.Schema) -> None:
        self._names = names
        self._schema = schema

    def read(self, message: memoryview) -> Expression:
        ((kind, body),) = list(_fields(message))
        if kind == _LITERAL:
            return Literal(_literal(body))
        if kind == _SELECTION:
            return self._column(body)
        if kind == _SCALAR_FUNCTION:
            return self._function(body)
        if kind == _OR_LIST:
            return self._in_list(body)
        if kind == _IF_THEN:
            return self._if_then(body)
        if kind == _CAST:
            return self._cast(body)
        raise _unknown(f"a part of kind {kind}")

    def conjuncts(self, message: memoryview) -> Iterator[memoryview]:
        """Split at the outer ANDs."""
        ((kind, body),) = list(_fields(message))
        name, parts = self._called(body) if kind == _SCALAR_FUNCTION else ("", [])
        if name not in _AND:
            yield message
            return
        for part in parts:
            yield from self.conjuncts(part)

    def _column(self, body: memoryview) -> Expression:
        # direct_reference 1 . struct_field 2 . field 1, which is left out when it is 0
        direct = dict(_fields(dict(_fields(body)).get(1, memoryview(b""))))
        place = dict(_fields(direct[2])) if 2 in direct else None
        if place is None or 2 in place:
            raise _unknown("a field of a nested column")
        return Column(self._schema.names[int(place.get(1, 0))])

    def _called(self, body: memoryview) -> tuple[str, list[memoryview]]:
        """A function's name and its arguments."""
        reference, arguments = 0, []
        for field, value in _fields(body):
            if field == 1:
                reference = int(value)
            elif field == 4:
                arguments.append(dict(_fields(value))[3])
        return self._names.get(reference, ""), arguments

    def _function(self, body: memoryview) -> Expression:
        name, arguments = self._called(body)
        parts = [self.read(argument) for argument in arguments]
        if name in _COMPARE:
            return Compare(_COMPARE[name], parts[0], parts[1])
        if name in _AND:
            return And(tuple(parts))
        if name in ("or", "or_kleene"):
            return Or(tuple(parts))
        if name in ("not", "invert"):
            return Not(parts[0])
        if name in ("is_null", "is_not_null", "is_valid"):
            return IsNull(parts[0]) if name == "is_null" else Not(IsNull(parts[0]))
        if name == "is_nan":
            return Call("isnan", (parts[0],))
        if name in _ARITHMETIC:
            return Arithmetic(_ARITHMETIC[name], parts[0], parts[1])  # type: ignore[arg-type]  # the table's values are operators
        if name in _CALLS:
            return Call(_CALLS[name], tuple(parts))
        raise _unknown(f"the function {name!r}")

    def _in_list(self, body: memoryview) -> Expression:
        part: Expression | None = None
        values = []
        for field, value in _fields(body):
            if field == 1:
                part = self.read(value)
            elif field == 2:
                values.append(self.read(value))
        if part is None or not all(isinstance(value, Literal) for value in values):
            raise _unknown("a list of values that are not constant")
        known = tuple(value for value in values if isinstance(value, Literal) and value.value.is_valid)
        found: Expression = InList(part, known) if known else Literal(pa.scalar(False))
        # pyarrow's isin is never null: null is in a list that has it, and in no other.
        if len(known) < len(values):
            return Or((IsNull(part), And((Not(IsNull(part)), found))))
        return And((Not(IsNull(part)), found))

    def _if_then(self, body: memoryview) -> Expression:
        """DuckDB's IN: if x is not null then isin(x, values) else null, which is what IN says by itself."""
        clauses = [value for field, value in _fields(body) if field == 1]
        otherwise = dict(_fields(body)).get(2)
        if len(clauses) == 1 and otherwise is not None:
            clause = dict(_fields(clauses[0]))
            known, then, null = self.read(clause[1]), self.read(clause[2]), self.read(otherwise)
            found = then.parts[-1] if isinstance(then, And) else None
            if isinstance(found, InList) and isinstance(null, Literal) and not null.value.is_valid:
                there = Not(IsNull(found.part))
                if known == there and then == And((there, found)):
                    return found
        raise _unknown("a case distinction")

    def _cast(self, body: memoryview) -> Expression:
        """pyarrow widens numbers to compare them; we compare exactly without. Any other cast is refused."""
        fields = dict(_fields(body))
        part = self.read(fields[2])
        ((to, _),) = list(_fields(fields[1]))
        if isinstance(part, Column):
            type_ = self._schema.field(part.name).type
        elif isinstance(part, Literal):
            type_ = part.value.type
        else:
            raise _unknown("a cast")
        if pa.types.is_integer(type_) and to in (_INT64, _FLOAT64, _DECIMAL):
            return part
        if (pa.types.is_floating(type_) and to == _FLOAT64) or (pa.types.is_decimal(type_) and to == _DECIMAL):
            return part
        raise _unknown("a cast")


def _widened(schema: pa.Schema) -> pa.Schema:
    """Numbers as the widest of their kind: Substrait has no casts that are safe, and we compare exactly anyway."""

    def wide(type_: pa.DataType) -> pa.DataType:
        if pa.types.is_integer(type_):
            return pa.int64()
        return pa.float64() if pa.types.is_floating(type_) else type_

    return pa.schema([field.with_type(wide(field.type)) for field in schema])


def _literal(body: memoryview) -> pa.Scalar:
    fields = [(field, value) for field, value in _fields(body) if field not in (50, 51)]
    if len(fields) != 1:
        raise _unknown("a constant of an unknown type")
    ((field, value),) = fields
    if field == 1:
        return pa.scalar(bool(value))
    if field in _SIGNED:
        return pa.scalar(_signed(int(value)), _SIGNED[field])
    if field == 10:
        return pa.scalar(struct.unpack("<f", value)[0], pa.float32())
    if field == 11:
        return pa.scalar(struct.unpack("<d", value)[0], pa.float64())
    if field in (12, 21):
        return pa.scalar(bytes(value).decode())
    if field in (13, 23):
        return pa.scalar(bytes(value))
    if field in (14, 27):
        return pa.scalar(_signed(int(value)), pa.timestamp("us", "UTC" if field == 27 else None))
    if field == 16:
        return pa.scalar(_signed(int(value)), pa.int32()).cast(pa.date32())
    if field == 17:
        return pa.scalar(_signed(int(value)), pa.int64()).cast(pa.time64("us"))
    if field == 22:
        return pa.scalar(bytes(dict(_fields(value))[1]).decode())
    if field == 24:
        return _decimal(dict(_fields(value)))
    if field == 29:
        return pa.scalar(None)
    if field in (34, 35):
        return _instant(dict(_fields(value)), "UTC" if field == 35 else None)
    if field == 33:
        return _extension(dict(_fields(value)))
    raise _unknown(f"a constant of kind {field}")


def _decimal(fields: dict[int, Any]) -> pa.Scalar:
    precision, scale = int(fields.get(2, 0)), int(fields.get(3, 0))
    digits = int.from_bytes(bytes(fields[1]), "little", signed=True)
    value = Decimal((int(digits < 0), tuple(int(digit) for digit in str(abs(digits))), -scale))
    return pa.scalar(value, pa.decimal128(precision, scale))


def _instant(fields: dict[int, Any], zone: str | None) -> pa.Scalar:
    unit = {0: "s", 3: "ms", 6: "us", 9: "ns"}.get(int(fields.get(1, 0)))
    if unit is None:
        raise _unknown("a timestamp of an unknown unit")
    return pa.scalar(_signed(int(fields.get(2, 0))), pa.timestamp(unit, zone))


def _extension(fields: dict[int, Any]) -> pa.Scalar:
    """Arrow writes unsigned integers as a type of its own: Any { UInt64Value { 1: value } } and the like."""
    wrapped = dict(_fields(fields[2])) if 2 in fields else {}
    inner = dict(_fields(wrapped.get(2, memoryview(b""))))
    if set(inner) <= {1} and not isinstance(inner.get(1, 0), memoryview):
        return pa.scalar(int(inner.get(1, 0)), pa.uint64())
    raise _unknown("a constant of a type of Arrow's own")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Read a protobuf message: numbers and values; messages and texts as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield field, value
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _unknown("a message that is not Substrait")
        if length > len(message) - at:
            raise _unknown("a message that is cut short")
        yield field, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
    raise _unknown("a number that does not end")


def _unknown(what: str) -> PredicateError:
    return PredicateError(
        f"the pyarrow expression has {what}, which has no like here; filter by it afterwards, or write SQL text"
    )
