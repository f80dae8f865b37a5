"""What of a client's predicate may be answered here: a predicate of ours that no row of the client's is lost by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from esker.collection.dataset import Dataset
from esker.errors import PredicateError
from esker.expression import (
    And,
    Call,
    Column,
    Compare,
    Expression,
    InList,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    bind,
    conjunction,
    simplify,
    walk,
)

# Whole numbers up to here are doubles exactly, so that it does not matter which side a client casts.
_EXACT = {pa.float64(): 2**53, pa.float32(): 2**24}
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_TEXT_CALLS = ("starts_with", "ends_with", "contains")


@dataclass(frozen=True)
class Dialect:
    """How a client compares: `nan_is_greatest` where NaN equals itself and is above all numbers, as it is with us."""

    nan_is_greatest: bool


POLARS = Dialect(nan_is_greatest=True)
PYARROW = Dialect(nan_is_greatest=False)


def pushable(parts: Iterable[Expression], schema: pa.Schema, dialect: Dialect) -> Expression | None:
    """Join what surely means the same here as at the client and bind it; None when nothing does.

    `parts` are translated conjuncts. The result lets every row pass that the client's predicate does, and maybe more:
    who uses it applies the client's own predicate again. Comparisons of one column with constants are taken whose
    answer does not hang on which side is cast; arithmetic, casts and functions stay with the client.

    >>> from esker.expression import parse, to_sql
    >>> schema = pa.schema([("age", pa.int32()), ("name", pa.string())])
    >>> parts = [parse("age > 50"), parse("upper(name) = 'ANN'"), parse("age = 7 OR name = 'Bo'")]
    >>> to_sql(pushable(parts, schema, POLARS))
    '"age" > 50 AND ("age" = 7 OR "name" = \\'Bo\\')'
    """
    kept = [found for part in parts if (found := _weakened(part, schema, dialect)) is not None]
    if not kept:
        return None
    try:
        return simplify(bind(conjunction(kept), schema))
    except PredicateError:
        # The types do not fit as we see them: the client will say so, or knows better.
        return None


def restricted(dataset: Dataset, predicate: Expression | None) -> Dataset:
    """The rows for which a bound predicate is true, or all."""
    return dataset if predicate is None else dataset.filter_by(predicate)


def _weakened(node: Expression, schema: pa.Schema, dialect: Dialect) -> Expression | None:
    if isinstance(node, And):
        kept = [found for part in node.parts if (found := _weakened(part, schema, dialect)) is not None]
        return conjunction(kept) if kept else None
    if isinstance(node, Or):
        kept = [found for part in node.parts if (found := _weakened(part, schema, dialect)) is not None]
        return Or(tuple(kept)) if len(kept) == len(node.parts) else None
    if isinstance(node, Not):
        # What is weaker under NOT would be stronger, so all of it has to mean the same, NaN included.
        same = _weakened(node.part, schema, dialect) == node.part
        return node if same and (dialect.nan_is_greatest or not _compares_floats(node.part, schema)) else None
    return node if _means_the_same(node, schema, dialect) else None


def _means_the_same(node: Expression, schema: pa.Schema, dialect: Dialect) -> bool:
    if isinstance(node, Literal):
        return bool(pa.types.is_boolean(node.value.type))
    if isinstance(node, Column):
        return bool(pa.types.is_boolean(schema.field(node.name).type))
    if isinstance(node, IsNull):
        return isinstance(node.part, Column)
    if isinstance(node, Compare):
        left, right = node.left, node.right
        if isinstance(left, Literal):
            left, right = right, left
        return isinstance(left, Column) and isinstance(right, Literal) and _fits(left, right, schema, dialect)
    if isinstance(node, InList):
        column = node.part
        return isinstance(column, Column) and all(_fits(column, value, schema, dialect) for value in node.values)
    if isinstance(node, Call) and node.name in _TEXT_CALLS:
        column, pattern = node.args
        return isinstance(column, Column) and isinstance(pattern, Literal) and _fits(column, pattern, schema, dialect)
    return isinstance(node, Like) and isinstance(node.part, Column)


def _fits(column: Column, literal: Literal, schema: pa.Schema, dialect: Dialect) -> bool:
    """Whether comparing is exact whichever side is cast to the type of the other, or both to a third."""
    type_, value = schema.field(column.name).type, literal.value
    if not value.is_valid:
        return False
    if pa.types.is_floating(value.type) and np.isnan(value.as_py()) and not dialect.nan_is_greatest:
        return False
    if pa.types.is_integer(type_):
        return bool(pa.types.is_integer(value.type)) or (
            pa.types.is_floating(value.type) and abs(value.as_py()) < _EXACT[pa.float64()]
        )
    if pa.types.is_floating(type_):
        return _fits_floating(type_, value)
    if pa.types.is_timestamp(type_):
        return _fits_timestamp(type_, value)
    if pa.types.is_decimal(type_):
        coarser = pa.types.is_decimal(value.type) and value.type.scale <= type_.scale
        return bool(pa.types.is_integer(value.type) or coarser)
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return bool(pa.types.is_string(value.type) or pa.types.is_large_string(value.type))
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return bool(pa.types.is_binary(value.type) or pa.types.is_large_binary(value.type))
    return bool(type_ == value.type) and not pa.types.is_nested(type_)


def _fits_floating(type_: pa.DataType, value: pa.Scalar) -> bool:
    if type_ not in _EXACT:
        return False
    number = value.as_py()
    if pa.types.is_integer(value.type):
        return bool(abs(number) <= _EXACT[type_])
    if not pa.types.is_floating(value.type):
        return False
    if type_ == pa.float64() or np.isnan(number) or np.isinf(number):
        return True
    return bool(abs(number) <= np.finfo(np.float32).max) and float(np.float32(number)) == number


def _fits_timestamp(type_: pa.DataType, value: pa.Scalar) -> bool:
    """Polars casts to the coarser unit and pyarrow to the finer: it makes no difference when the value fits both."""
    if not pa.types.is_timestamp(value.type) or (type_.tz is None) != (value.type.tz is None):
        return False
    ours, theirs = _UNITS[type_.unit], _UNITS[value.type.unit]
    return theirs >= ours and not value.value % (theirs // ours)


def _compares_floats(node: Expression, schema: pa.Schema) -> bool:
    return any(
        isinstance(column, Column) and pa.types.is_floating(schema.field(column.name).type)
        for part in walk(node)
        if isinstance(part, Compare | InList)
        for column in walk(part)
    )
