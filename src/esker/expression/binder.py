"""Bind a tree to a schema: find its columns, bring both sides of everything to one type, refuse what makes no sense."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from esker.core.batch import plain_schema
from esker.errors import UnknownColumnError
from esker.expression.common_type import common_type, decimal_operands, is_number, is_text, number_type
from esker.expression.constants import as_type, compare_constant, compare_type, equal_value, named
from esker.expression.evaluator import apply
from esker.expression.exact import refuse
from esker.expression.functions import FUNCTIONS, fits
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
    VectorRange,
)

_MIRRORED: dict[CompareOp, CompareOp] = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
Typed = tuple[Expression, pa.DataType]


def bind(expression: Expression, schema: pa.Schema) -> Expression:
    """Fit a predicate to a schema: afterwards every comparison has two sides of one type.

    >>> from esker.expression import parse
    >>> schema = pa.schema([("age", pa.int8()), ("born", pa.date32())])
    >>> bind(parse("age > 50.5"), schema)
    Compare(op='>', left=Column(name='age'), right=Literal(value=<pyarrow.Int8Scalar: 50>))
    >>> bind(parse("born < 'yesterday'"), schema)
    Traceback (most recent call last):
        ...
    esker.errors.PredicateError: column 'born': 'yesterday' is not a value of date32[day]; write it like '2013-06-01' \
[ESK-102]
      born < 'yesterday'
             ^

    Constants take the column's type, and a comparison with one that the type cannot hold becomes the equal one with
    one it can, as above: columns stay bare for indexes and statistics. Strings are read as numbers, dates and
    timestamps where the column is one; without an offset they are in the column's zone. Bound trees may be bound
    again. Raises UnknownColumnError, or PredicateError that names column, type and constant.
    """
    bound, type_ = _Binder(plain_schema(schema)).bind(expression)
    return _boolean(bound, type_, "the predicate")


class _Binder:
    """Every method gives a bound part and its type."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema

    def bind(self, node: Expression) -> Typed:
        if isinstance(node, Column):
            return self._column(node)
        if isinstance(node, Literal):
            return node, node.value.type
        if isinstance(node, VectorRange):
            return node, pa.bool_()
        if isinstance(node, And | Or):
            word = "AND" if isinstance(node, And) else "OR"
            return replace(node, parts=tuple(_boolean(*self.bind(part), word) for part in node.parts)), pa.bool_()
        if isinstance(node, Not):
            return replace(node, part=_boolean(*self.bind(node.part), "NOT")), pa.bool_()
        if isinstance(node, IsNull):
            return replace(node, part=self.bind(node.part)[0]), pa.bool_()
        if isinstance(node, Compare):
            return self._compare(node), pa.bool_()
        if isinstance(node, InList):
            return self._in_list(node), pa.bool_()
        if isinstance(node, Like):
            return self._like(node), pa.bool_()
        if isinstance(node, Arithmetic | Negate):
            return self._arithmetic(node)
        if isinstance(node, Cast):
            return self._cast(node)
        assert isinstance(node, Call), type(node)
        return self._call(node)

    def _column(self, node: Column) -> Typed:
        names = self._schema.names
        name = node.name
        if name not in names:
            # SQL does not tell Month from month; a name that is there as written wins.
            alike = [candidate for candidate in names if candidate.lower() == name.lower()]
            if len(alike) != 1:
                raise _unknown(node, names)
            name = alike[0]
        return replace(node, name=name), self._schema.field(name).type

    def _compare(self, node: Compare) -> Expression:
        (left, left_type), (right, right_type) = self.bind(node.left), self.bind(node.right)
        for side, type_ in ((left, left_type), (right, right_type)):
            _require_flat(side, type_)
        if pa.types.is_null(left_type) or pa.types.is_null(right_type):
            return Literal(pa.scalar(None, pa.bool_()), position=node.position)
        # Of two constants, the one in quotes takes the other's type.
        quoted = isinstance(left, Literal) and is_text(left_type) and not is_text(right_type)
        if isinstance(right, Literal) and not quoted:
            return compare_constant(node, node.op, left, left_type, right)
        if isinstance(left, Literal):
            return compare_constant(node, _MIRRORED[node.op], right, right_type, left)
        type_ = common_type(left_type, right_type)
        if type_ is None:
            raise refuse(
                f"cannot compare {named(left)}, a {left_type}, with {named(right)}, a {right_type}; cast one",
                node.position,
            )
        return replace(node, left=as_type(left, left_type, type_), right=as_type(right, right_type, type_))

    def _in_list(self, node: InList) -> Expression:
        part, part_type = self.bind(node.part)
        _require_flat(part, part_type)
        wanted = [compare_type(part, part_type, literal) for literal in node.values]
        type_ = next((found for found in wanted if found != part_type), part_type)
        part = as_type(part, part_type, type_)
        values = [found for literal in node.values if (found := equal_value(part, type_, literal)) is not None]
        if values:
            return replace(node, part=part, values=tuple(dict.fromkeys(values)))
        # None of the values is one that the column can have: false, or null where it is null.
        return Compare("!=", part, part, position=node.position)

    def _like(self, node: Like) -> Expression:
        part, type_ = self.bind(node.part)
        if pa.types.is_null(type_):
            return Literal(pa.scalar(None, pa.bool_()), position=node.position)
        if not is_text(type_):
            raise refuse(f"LIKE takes text, but {named(part)} is {type_}", node.position)
        return replace(node, part=part)

    def _arithmetic(self, node: Arithmetic | Negate) -> Typed:
        op = node.op if isinstance(node, Arithmetic) else "-"
        sides = [node.left, node.right] if isinstance(node, Arithmetic) else [node.part]
        bound = [self.bind(side) for side in sides]
        for part, type_ in bound:
            if not is_number(type_) and not pa.types.is_null(type_):
                raise refuse(f"{op!r} takes numbers, but {named(part)} is {type_}", node.position)
        type_ = number_type(op, [type_ for _, type_ in bound])
        if type_ is None:
            raise refuse("% takes integers and floating numbers; CAST(… AS DOUBLE) a decimal", node.position)
        types = [of for _, of in bound]
        args = decimal_operands(op, types) if pa.types.is_decimal(type_) else [type_] * len(types)
        cast = [as_type(part, of, arg) for (part, of), arg in zip(bound, args, strict=True)]
        whole = (
            replace(node, left=cast[0], right=cast[1]) if isinstance(node, Arithmetic) else replace(node, part=cast[0])
        )
        return whole, apply(whole, [pa.array([], arg) for arg in args]).type

    def _cast(self, node: Cast) -> Typed:
        part, type_ = self.bind(node.part)
        zones = getattr(type_, "tz", None), getattr(node.type, "tz", None)
        if pa.types.is_temporal(type_) and zones[0] is None and zones[1] is not None:
            raise refuse(f"{named(part)} is {type_}, without a zone; which instant it is cannot be told", node.position)
        bound = replace(node, part=part)
        try:
            apply(bound, [pa.array([], type_)])
        except ValueError:
            raise refuse(f"{named(part)} is {type_}, which cannot be cast to {node.type}", node.position) from None
        return bound, node.type

    def _call(self, node: Call) -> Typed:
        function = FUNCTIONS[node.name]
        bound = []
        for arg, kind in zip(node.args, function.takes, strict=True):
            part, type_ = self.bind(arg)
            if kind == "pattern" and not (isinstance(part, Literal) and part.value.is_valid):
                raise refuse(f"{node.name} takes a constant in quotes as its second argument", node.position)
            if not fits(kind, type_):
                wanted = {"text": "text", "pattern": "text", "number": "a number", "float": "a floating number"}
                words = wanted.get(kind, "a date or a time")
                raise refuse(f"{node.name} takes {words}, but {named(part)} is {type_}", node.position)
            if node.name == "abs" and pa.types.is_signed_integer(type_):
                part, type_ = as_type(part, type_, pa.int64()), pa.int64()  # -128 has no opposite in 8 bits
            bound.append((part, type_))
        whole = replace(node, args=tuple(part for part, _ in bound))
        empty = [part.value if isinstance(part, Literal) else pa.array([], type_) for part, type_ in bound]
        return whole, apply(whole, empty).type


def _unknown(node: Column, names: list[str]) -> UnknownColumnError:
    error = UnknownColumnError.of(node.name, names)
    at = node.position
    # Where no column is like it, or it was put into the wrong quotes, it may be a text.
    if at is not None and (at.text[at.offset : at.offset + 1] == '"' or "did you mean" not in error.message):
        return UnknownColumnError(f"{error.message}; text goes into single quotes: '{node.name}'")
    return error


def _boolean(node: Expression, type_: pa.DataType, where: str) -> Expression:
    if pa.types.is_boolean(type_):
        return node
    if pa.types.is_null(type_):
        return Literal(pa.scalar(None, pa.bool_()), position=node.position)
    raise refuse(f"{where} wants true or false, but {named(node)} is {type_}", node.position)


def _require_flat(node: Expression, type_: pa.DataType) -> None:
    if pa.types.is_nested(type_) or isinstance(type_, pa.BaseExtensionType) or pa.types.is_interval(type_):
        raise refuse(f"{named(node)} is {type_}, which predicates cannot look into", node.position)
