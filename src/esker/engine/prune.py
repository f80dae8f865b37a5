"""Skip fragments whose statistics show that no row can match."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from esker.expression import Column, Compare, Expression, InList, Literal, conjuncts

# (smallest, largest, number of nulls) of a column in a fragment, as Python values; None when not known.
Statistics = Callable[[str], tuple[Any, Any, int | None] | None]

_EXCLUDES: dict[str, Callable[[Any, Any, Any], bool]] = {
    "=": lambda low, high, value: value < low or value > high,
    "<": lambda low, high, value: low >= value,
    "<=": lambda low, high, value: low > value,
    ">": lambda low, high, value: high <= value,
    ">=": lambda low, high, value: high < value,
}
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def may_match(predicate: Expression | None, statistics: Statistics) -> bool:
    """False only when the statistics prove that some conjunct is true for no row.

    Floats are never pruned: statistics leave NaN out, and NaN is larger than all numbers here.
    """
    if predicate is None:
        return True
    return not any(_excluded(part, statistics) for part in conjuncts(predicate))


def _excluded(part: Expression, statistics: Statistics) -> bool:
    if isinstance(part, InList) and isinstance(part.part, Column):
        values = [value.value for value in part.values if isinstance(value, Literal)]
        column = part.part
        return len(values) == len(part.values) and all(
            _comparison_excluded("=", column.name, value, statistics) for value in values
        )
    if not isinstance(part, Compare) or part.op not in _EXCLUDES:
        return False
    if isinstance(part.left, Column) and isinstance(part.right, Literal):
        return _comparison_excluded(part.op, part.left.name, part.right.value, statistics)
    if isinstance(part.left, Literal) and isinstance(part.right, Column):
        return _comparison_excluded(_MIRRORED[part.op], part.right.name, part.left.value, statistics)
    return False


def _comparison_excluded(op: str, column: str, literal: pa.Scalar, statistics: Statistics) -> bool:
    known = statistics(column)
    if known is None or pa.types.is_floating(literal.type):
        return False
    low, high, _ = known
    value = literal.as_py()
    if value is None:
        return True
    if low is None or high is None or isinstance(low, float) or type(low) is not type(value):
        return False
    return _EXCLUDES[op](low, high, value)
