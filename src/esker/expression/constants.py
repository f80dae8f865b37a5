"""Comparisons with constants: the constant takes the column's type, exactly, so that the column stays bare."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

import pyarrow as pa

from esker.errors import PredicateError
from esker.expression.common_type import is_bytes, is_number, is_text
from esker.expression.exact import (
    Exact,
    bytes_of,
    float_of,
    is_ordered_by_ticks,
    plain_scalar,
    refuse,
    scalar_of_ticks,
    shown,
    tick_range,
    ticks_of,
)
from esker.expression.nodes import Cast, Column, Compare, CompareOp, Expression, Literal

T = TypeVar("T")


def compare_constant(
    node: Compare, op: CompareOp, part: Expression, type_: pa.DataType, literal: Literal
) -> Expression:
    wanted = compare_type(part, type_, literal)
    part = as_type(part, type_, wanted)
    if not is_ordered_by_ticks(wanted) or not literal.value.is_valid:
        return Compare(op, part, _literal(part, wanted, literal), position=node.position)
    ticks = _ticks(part, wanted, literal)
    low, high = tick_range(wanted)
    whole = ticks if isinstance(ticks, float) else math.floor(ticks)
    if isinstance(whole, float) or not low <= whole <= high:
        above = not whole < low  # NaN is above all
        return _always(node, part, wanted, op in (("<", "<=", "!=") if above else (">", ">=", "!=")))
    if whole != ticks:
        # Between two values of the type: the one below tells both sides apart, and none is equal.
        if op in ("=", "!="):
            return _always(node, part, wanted, op == "!=")
        op = "<=" if op in ("<", "<=") else ">"
    constant = Literal(scalar_of_ticks(whole, wanted), position=literal.position)
    return Compare(op, part, constant, position=node.position)


def _always(node: Compare, part: Expression, type_: pa.DataType, truth: bool) -> Expression:
    """True, or false, for every value of the part, and null for null."""
    if pa.types.is_temporal(type_):
        # Their extremes lie in years that no calendar writes.
        return Compare("=" if truth else "!=", part, part, position=node.position)
    # An index answers this without a look at the rows.
    highest = Literal(scalar_of_ticks(tick_range(type_)[1], type_))
    return Compare("<=" if truth else ">", part, highest, position=node.position)


def compare_type(part: Expression, type_: pa.DataType, literal: Literal) -> pa.DataType:
    """The type to compare in: the part's own, but a wider one where the constant needs it and rounding would show."""
    value = literal.value
    if not value.is_valid:
        return type_
    if pa.types.is_fixed_size_binary(type_) and (is_text(value.type) or is_bytes(value.type)):
        return type_ if len(_guarded(part, type_, literal, bytes_of)) == type_.byte_width else pa.binary()
    if not pa.types.is_float64(value.type):
        return type_
    if pa.types.is_decimal(type_):
        return pa.float64()
    if pa.types.is_floating(type_) and not pa.types.is_float64(type_):
        wide = value.as_py()
        narrow = pa.scalar(wide, pa.float32()).cast(type_).as_py()
        return type_ if narrow == wide or math.isnan(wide) else pa.float64()
    return type_


def _literal(part: Expression, type_: pa.DataType, literal: Literal) -> Literal:
    """The constant in a type that is not ordered by ticks; null in any."""
    if not literal.value.is_valid:
        return replace(literal, value=pa.scalar(None, type_))
    if pa.types.is_floating(type_):
        if is_number(literal.value.type) or is_text(literal.value.type):
            return replace(literal, value=pa.scalar(_guarded(part, type_, literal, float_of), type_))
        raise _misfit(part, type_, literal)
    kind = literal.value.type
    if is_text(type_) and not is_text(kind):
        advice = f"; write '{literal.value.as_py()}' in quotes" if is_number(kind) else ""
        raise refuse(f"{named(part)} is {type_}, but {shown(literal)} is {kind}{advice}", literal.position)
    return replace(literal, value=_guarded(part, type_, literal, plain_scalar))


def equal_value(part: Expression, type_: pa.DataType, literal: Literal) -> Literal | None:
    """The constant in `type_`, or None when no value of `type_` equals it."""
    if not is_ordered_by_ticks(type_) or not literal.value.is_valid:
        return _literal(part, type_, literal)
    ticks = _ticks(part, type_, literal)
    low, high = tick_range(type_)
    if not isinstance(ticks, Fraction) or ticks.denominator != 1 or not low <= ticks <= high:
        return None
    return replace(literal, value=scalar_of_ticks(int(ticks), type_))


def as_type(node: Expression, type_: pa.DataType, wanted: pa.DataType) -> Expression:
    """`node`, of `type_`, as `wanted`."""
    if type_ == wanted:
        return node
    if isinstance(node, Literal):
        if not node.value.is_valid:
            return replace(node, value=pa.scalar(None, wanted))
        if pa.types.is_floating(wanted):
            return replace(node, value=pa.scalar(float_of(node, wanted), wanted))
        return replace(node, value=node.value.cast(wanted))
    return Cast(node, wanted, position=node.position)


def named(node: Expression) -> str:
    """What messages call a part."""
    if isinstance(node, Column):
        return f"column {node.name!r}"
    return shown(node) if isinstance(node, Literal) else "the expression"


def _ticks(part: Expression, type_: pa.DataType, literal: Literal) -> Exact:
    if is_number(type_) and not (is_number(literal.value.type) or is_text(literal.value.type)):
        raise _misfit(part, type_, literal)
    return _guarded(part, type_, literal, ticks_of)


def _misfit(part: Expression, type_: pa.DataType, literal: Literal) -> PredicateError:
    kind = literal.value.type
    return refuse(f"{named(part)} is {type_}, but {shown(literal)} is {kind}", literal.position or part.position)


def _guarded(part: Expression, type_: pa.DataType, literal: Literal, read: Callable[[Literal, pa.DataType], T]) -> T:
    """Read a constant; where it cannot be, the error names the column, too."""
    try:
        return read(literal, type_)
    except PredicateError as error:
        reason = str(error).partition("\n")[0]
        raise refuse(f"{named(part)}: {reason}", literal.position or part.position) from None
