"""Simplify a bound tree without changing what it says, nulls and NaN included."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from esker.errors import PredicateError
from esker.expression.evaluator import apply
from esker.expression.nodes import (
    And,
    Column,
    Compare,
    CompareOp,
    Expression,
    InList,
    Literal,
    Not,
    Or,
    VectorRange,
)
from esker.expression.walk import children, map_children

_OPPOSITE: dict[CompareOp, CompareOp] = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def simplify(expression: Expression) -> Expression:
    """Fold constants, push NOT to the leaves, flatten AND and OR, drop what is said twice.

    >>> from esker.expression import parse, to_sql
    >>> to_sql(simplify(parse("NOT (a > 1 AND (b OR FALSE)) OR 2 < 1")))
    '"a" <= 1 OR NOT ("b")'

    NOT may be pushed into comparisons because these are a total order, NaN included. What would raise (an overflow)
    is left as it is.
    """
    if isinstance(expression, Not):
        return _negate(simplify(expression.part), expression)
    node = map_children(expression, simplify)
    if isinstance(node, And):
        return _join(node, neutral=True)
    if isinstance(node, Or):
        return _join(node, neutral=False)
    if isinstance(node, Compare) and any(_is_null(side) for side in (node.left, node.right)):
        return Literal(pa.scalar(None, pa.bool_()), position=node.position)
    return _fold(node)


def _negate(part: Expression, source: Expression) -> Expression:
    if isinstance(part, Not):
        return part.part
    if isinstance(part, Compare):
        return replace(part, op=_OPPOSITE[part.op])
    if isinstance(part, And | Or):
        parts = tuple(_negate(one, one) for one in part.parts)
        other = Or(parts, position=part.position) if isinstance(part, And) else And(parts, position=part.position)
        return simplify(other)
    return _fold(Not(part, position=source.position))


def _join(node: And | Or, *, neutral: bool) -> Expression:
    kept: dict[Expression, None] = {}
    for part in node.parts:
        for found in part.parts if type(part) is type(node) and isinstance(part, And | Or) else (part,):
            truth = found.value.as_py() if isinstance(found, Literal) else None
            if truth is (not neutral):
                return found
            if truth is not neutral:
                kept[found] = None
    if not kept:
        return Literal(pa.scalar(neutral), position=node.position)
    parts = tuple(kept)
    return parts[0] if len(parts) == 1 else replace(node, parts=parts)


def _fold(node: Expression) -> Expression:
    """A node whose children are all constants is one."""
    if isinstance(node, Column | Literal | VectorRange) or not all(
        isinstance(part, Literal) for part in children(node)
    ):
        return node
    constants = [part.value for part in children(node) if isinstance(part, Literal)]
    try:
        found = apply(node, constants[:1] if isinstance(node, InList) else constants)
    except PredicateError:
        return node
    scalar = found if isinstance(found, pa.Scalar) else found[0]
    return Literal(scalar, position=node.position)


def _is_null(node: Expression) -> bool:
    return isinstance(node, Literal) and not node.value.is_valid
