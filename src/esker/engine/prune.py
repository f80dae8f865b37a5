"""Skip fragments whose statistics show that no row can match."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from esker.expression import Column, Compare, Expression, InList, Literal, conjuncts
from esker.formats import ColumnStatistics

Statistics = Callable[[str], ColumnStatistics | None]

# For `column op value`: the bound of the column, and how it compares with the value when no row can match.
_EXCLUDES = {
    "=": (("min", "greater"), ("max", "less")),
    "<": (("min", "greater_equal"),),
    "<=": (("min", "greater"),),
    ">": (("max", "less_equal"),),
    ">=": (("max", "less"),),
}
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def may_match(predicate: Expression | None, statistics: Statistics) -> bool:
    """False only when the statistics prove that some conjunct is true for no row.

    Parts that cannot be judged by bounds of one column count as possible.
    """
    if predicate is None:
        return True
    return not any(_excluded(part, statistics) for part in conjuncts(predicate))


def _excluded(part: Expression, statistics: Statistics) -> bool:
    if isinstance(part, InList) and isinstance(part.part, Column):
        name = part.part.name
        return all(_comparison_excluded("=", name, value.value, statistics) for value in part.values)
    if not isinstance(part, Compare) or part.op not in _EXCLUDES:
        return False
    if isinstance(part.left, Column) and isinstance(part.right, Literal):
        return _comparison_excluded(part.op, part.left.name, part.right.value, statistics)
    if isinstance(part.left, Literal) and isinstance(part.right, Column):
        return _comparison_excluded(_MIRRORED[part.op], part.right.name, part.left.value, statistics)
    return False


def _comparison_excluded(op: str, column: str, value: pa.Scalar, statistics: Statistics) -> bool:
    if not value.is_valid:
        return True
    # NaN is equal to itself and above all numbers here, which bounds of floats do not know.
    if pa.types.is_floating(value.type):
        return False
    known = statistics(column)
    if known is None:
        return False
    return any(_compares(getattr(known, bound), comparison, value) for bound, comparison in _EXCLUDES[op])


def _compares(bound: pa.Scalar | None, comparison: str, value: pa.Scalar) -> bool:
    if bound is None or not bound.is_valid or bound.type != value.type:
        return False
    return bool(pc.call_function(comparison, [bound, value]).as_py())
