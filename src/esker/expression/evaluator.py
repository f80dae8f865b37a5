"""Evaluate a bound tree on a batch, with SQL's three-valued logic and DuckDB's NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esker.core.batch import cast_column, plain_batch, plain_type
from esker.errors import EskerError, PredicateError, UnknownColumnError
from esker.expression.functions import FUNCTIONS, Value
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
from esker.expression.walk import children


def evaluate(expression: Expression, batch: pa.RecordBatch) -> pa.BooleanArray:
    """Tell for each row whether a bound predicate is true, false or null.

    >>> batch = pa.record_batch({"age": [20, 60, None]})
    >>> evaluate(Compare(">", Column("age"), Literal(pa.scalar(50))), batch).to_pylist()
    [False, True, None]

    The predicate must be bound to the batch's schema, or to one that has its columns; see `bind`. Raises
    PredicateError where a value breaks it: an overflow, a division by zero in `%`, a cast that does not fit.
    """
    found = value(expression, batch)
    if isinstance(found, pa.Scalar):
        return pa.repeat(found, batch.num_rows)
    return found


def filter_batch(expression: Expression, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Keep the rows for which a bound predicate is true.

    >>> filter_batch(Not(IsNull(Column("age"))), pa.record_batch({"age": [20, None]})).to_pydict()
    {'age': [20]}
    """
    return filter_by_mask(batch, evaluate(expression, batch))


def filter_by_mask(batch: pa.RecordBatch, mask: pa.BooleanArray) -> pa.RecordBatch:
    """Keep the rows for which `mask` is true."""
    passed = mask.true_count
    if passed == batch.num_rows:
        return batch
    if not passed:
        return batch.slice(0, 0)
    # pyarrow takes no rows of views: their plain type is what everyone above sees anyway.
    return plain_batch(batch).filter(mask)


def value(expression: Expression, batch: pa.RecordBatch) -> Value:
    """The value of any part of a bound tree: an array, or a scalar where no column is asked."""
    if isinstance(expression, Column):
        return _column(expression, batch)
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, VectorRange):
        raise PredicateError(
            f"[{expression.first},{expression.last}] names vectors of an index by number, and no index answers here:"
            " build one, or name columns"
        )
    if isinstance(expression, InList):
        return apply(expression, [value(expression.part, batch)])
    return apply(expression, [value(part, batch) for part in children(expression)])


def apply(expression: Expression, args: Sequence[Value]) -> Value:
    """Compute one node from the values of its children (of an InList, of its part)."""
    try:
        return _APPLY[type(expression)](expression, *args)
    except EskerError:
        raise
    except (pa.ArrowException, ValueError, OverflowError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PredicateError(f"cannot compute {_word(expression)}: {detail}", *_place(expression)) from error


def _column(column: Column, batch: pa.RecordBatch) -> pa.Array:
    position = batch.schema.get_field_index(column.name)
    if position < 0:
        raise UnknownColumnError.of(column.name, batch.schema.names)
    array = batch.column(position)
    return cast_column(array, plain_type(array.type))


def _and(_: Expression, *parts: Value) -> Value:
    return _fold(pc.and_kleene, parts)


def _or(_: Expression, *parts: Value) -> Value:
    return _fold(pc.or_kleene, parts)


def _fold(join: Callable[[Value, Value], Value], parts: Sequence[Value]) -> Value:
    result = parts[0]
    for part in parts[1:]:
        result = join(result, part)
    return result


def _compare(node: Any, left: Value, right: Value) -> Value:
    """Compare in a total order: NaN equals itself and is above all."""
    left, right = _comparable(left), _comparable(right)
    if not pa.types.is_floating(left.type):
        return _KERNELS[node.op](left, right)
    if node.op in ("=", "!="):
        equal = pc.or_(pc.equal(left, right), pc.and_(pc.is_nan(left), pc.is_nan(right)))
        return equal if node.op == "=" else pc.invert(equal)
    if node.op == ">":
        return _above(left, right)
    if node.op == "<":
        return _above(right, left)
    return pc.invert(_above(left, right) if node.op == "<=" else _above(right, left))


def _above(left: Value, right: Value) -> Value:
    if isinstance(right, pa.Scalar) and right.is_valid and right.as_py() == right.as_py():
        return pc.or_(pc.greater(left, right), pc.is_nan(left))
    return pc.or_(pc.greater(left, right), pc.and_(pc.is_nan(left), pc.invert(pc.is_nan(right))))


def _comparable(operand: Value) -> Value:
    """Float16 has no comparing kernels; every value of it is a float32."""
    return pc.cast(operand, pa.float32()) if pa.types.is_float16(operand.type) else operand


def _in_list(node: Any, part: Value) -> Value:
    part = _comparable(part)
    known = [_comparable(literal.value) for literal in node.values if literal.value.is_valid]
    type_ = known[0].type if known else part.type
    values = pa.array(known, type_)
    if pa.types.is_floating(part.type):
        # The kernel goes by bits: -0.0 would not be among 0.0.
        part, values = pc.add(part, pa.scalar(0.0, part.type)), pc.add(values, pa.scalar(0.0, type_))
    found = pc.is_in(part, value_set=values)
    some_null = len(known) < len(node.values)
    unknown = pc.or_(pc.is_null(part), pc.invert(found)) if some_null else pc.is_null(part)
    return pc.if_else(unknown, pa.scalar(None, pa.bool_()), found)


def _arithmetic(node: Any, left: Value, right: Value) -> Value:
    if node.op == "%":
        return _modulo(left, right)
    return _ARITHMETIC[node.op](left, right)


def _modulo(left: Value, right: Value) -> Value:
    """The remainder with the sign of the left side, as in C; Arrow has no kernel for it."""
    whole = pa.types.is_integer(left.type)
    if whole and pc.any(pc.equal(_as_array(right), 0)).as_py():
        raise ValueError("division by zero")
    if isinstance(left, pa.Scalar) and isinstance(right, pa.Scalar):
        return _modulo(_as_array(left), _as_array(right))[0]
    sides = [_filled(side, 1) for side in (left, right)]
    with np.errstate(invalid="ignore"):
        result = pa.array(np.atleast_1d(np.fmod(*sides)), left.type)
    unknown = pc.or_(pc.is_null(left), pc.is_null(right))
    return pc.if_else(unknown, pa.scalar(None, left.type), result)


def _as_array(operand: Value) -> pa.Array:
    return pa.repeat(operand, 1) if isinstance(operand, pa.Scalar) else operand


def _filled(operand: Value, filler: int) -> Any:
    filled = pc.fill_null(operand, pa.scalar(filler, operand.type))
    return filled.as_py() if isinstance(filled, pa.Scalar) else filled.to_numpy(zero_copy_only=False)


def _like(node: Any, part: Value) -> Value:
    return pc.match_like(part, pattern=node.pattern, ignore_case=not node.case_sensitive)


def _cast(node: Any, part: Value) -> Value:
    zone = getattr(part.type, "tz", None)
    if zone is not None and getattr(node.type, "tz", None) is None and not pa.types.is_string(node.type):
        # Dates and clocks are those of the column's zone.
        part = pc.local_timestamp(part)
    # To the nearest double is what SQL means; any other loss is an error.
    return pc.cast(part, node.type, safe=not pa.types.is_floating(node.type))


_KERNELS: dict[str, Callable[[Value, Value], Value]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_ARITHMETIC: dict[str, Callable[[Value, Value], Value]] = {
    "+": pc.add_checked,
    "-": pc.subtract_checked,
    "*": pc.multiply_checked,
    "/": pc.divide,
}
_APPLY: dict[type[Expression], Callable[..., Value]] = {
    And: _and,
    Or: _or,
    Not: lambda _, part: pc.invert(part),
    IsNull: lambda _, part: pc.is_null(part),
    Compare: _compare,
    InList: _in_list,
    Arithmetic: _arithmetic,
    Negate: lambda _, part: pc.negate_checked(part),
    Like: _like,
    Cast: _cast,
    Call: lambda node, *args: FUNCTIONS[node.name].compute(*args),
}


def _word(expression: Expression) -> str:
    if isinstance(expression, Arithmetic | Compare):
        return f"{expression.op!r}"
    if isinstance(expression, Cast):
        return f"CAST(… AS {expression.type})"
    if isinstance(expression, Negate):
        return "'-'"
    return f"{expression.name}()" if isinstance(expression, Call) else type(expression).__name__


def _place(expression: Expression) -> tuple[str, int | None]:
    at = expression.position
    return (at.text, at.offset) if at is not None else ("", None)
