"""The predicate tree: read from SQL, bound to a schema, evaluated on batches."""

from __future__ import annotations

from esker.expression.binder import bind
from esker.expression.evaluator import evaluate, filter_batch, filter_by_mask
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
    VectorRange,
)
from esker.expression.parser import parse
from esker.expression.predicate import read_predicate
from esker.expression.simplifier import simplify
from esker.expression.sql import to_sql
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
    "VectorRange",
    "bind",
    "children",
    "columns",
    "conjunction",
    "conjuncts",
    "evaluate",
    "filter_batch",
    "filter_by_mask",
    "parse",
    "read_predicate",
    "simplify",
    "to_sql",
    "walk",
]
