"""Predicates as terms: ranges of vectors that are ORed, and then ANDed, as nodes answer them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from esker.cluster.layout import IndexedColumn, Layout
from esker.cluster.messages import Range, Terms
from esker.expression import And, Expression, Literal, Not, Or, VectorRange, columns, conjunction, conjuncts
from esker.index.truth import value_truth

_TERMS_MOST = 64
_Clause = frozenset[Range]


class Asked(NamedTuple):
    """What to ask the vectors, and what is left to check on the rows they give; None when that is nothing.

    No row that fits is missing. Without terms every row may be one.
    """

    terms: Terms
    residual: Expression | None
    never: bool = False


def terms_of(predicate: Expression, layout: Layout) -> Asked:
    """Turn a bound predicate into terms, conjunct by conjunct; those that vectors do not decide are left."""
    clauses: list[_Clause] = []
    left: list[Expression] = []
    for part in conjuncts(predicate):
        found = _clauses(part, layout, polarity=True)
        if found is None or len(clauses) + len(found) > _TERMS_MOST:
            left.append(part)
        else:
            clauses += found
    never = any(not clause for clause in clauses)
    terms = tuple(tuple(sorted(clause)) for clause in clauses)
    return Asked(terms, conjunction(left) if left else None, never)


def _clauses(node: Expression, layout: Layout, *, polarity: bool) -> list[_Clause] | None:
    """The node, or that it is false, as an AND of ORs of ranges; None when vectors do not say so exactly.

    An empty clause is never true. No clause at all is always true.
    """
    if isinstance(node, VectorRange):
        return [frozenset(layout.ranges_of_values(node.first, node.last))] if polarity else None
    if isinstance(node, Literal) and node.value.is_valid:
        return [] if bool(node.value.as_py()) is polarity else [frozenset()]
    names = columns(node)
    column = layout.column(next(iter(names))) if len(names) == 1 else None
    if column is not None and not _names_vectors(node):
        return _of_column(node, column, polarity)
    if isinstance(node, Not):
        return _clauses(node.part, layout, polarity=not polarity)
    if isinstance(node, And | Or):
        parts = [_clauses(part, layout, polarity=polarity) for part in node.parts]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        if isinstance(node, And) is polarity:
            return [clause for part in known for clause in part]
        return _ored(known)
    return None


def _of_column(node: Expression, column: IndexedColumn, polarity: bool) -> list[_Clause] | None:
    part = value_truth(node, column.name, column.values).of(polarity)
    if not np.array_equal(part.certain, part.possible):
        return None
    if part.certain.all():
        return []
    return [frozenset(_runs(part.certain, column.first))]


def _runs(slots: npt.NDArray[np.bool_], first: int) -> list[Range]:
    edges = (np.flatnonzero(np.diff(slots.astype(np.int8), prepend=0, append=0)) + first).tolist()
    return [(start, stop - 1) for start, stop in zip(edges[0::2], edges[1::2], strict=True)]


def _ored(parts: list[list[_Clause]]) -> list[_Clause] | None:
    """OR of ANDs as an AND of ORs; None when that is too many."""
    found: list[_Clause] = [frozenset()]
    for part in parts:
        if len(found) * len(part) > _TERMS_MOST:
            return None
        found = [one | other for one in found for other in part]
    return found


def _names_vectors(node: Expression) -> bool:
    if isinstance(node, And | Or):
        return any(_names_vectors(part) for part in node.parts)
    return _names_vectors(node.part) if isinstance(node, Not) else isinstance(node, VectorRange)
