"""The predicate tree: read from SQL, bound to a schema, evaluated on batches."""

from __future__ import annotations

from esker.expression.nodes import (
    And,
    Arithmetic,
    ArithmeticOp,
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
from esker.expression.walk import children, columns, conjunction, conjuncts, walk

__all__ = [
    "And",
    "Arithmetic",
    "ArithmeticOp",
    "Call",
    "Cast",
    "Column",
    "Compare",
    "CompareOp",
    "Expression",
    "InList",
    "IsNull",
    "Like",
    "Literal",
    "Negate",
    "Not",
    "Or",
    "Position",
    "children",
    "columns",
    "conjunction",
    "conjuncts",
    "walk",
]
