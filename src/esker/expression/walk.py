"""Walking a predicate tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pyarrow as pa

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


def children(expression: Expression) -> tuple[Expression, ...]:
    """The parts right below `expression`, left to right."""
    if isinstance(expression, And | Or):
        return expression.parts
    if isinstance(expression, Compare | Arithmetic):
        return expression.left, expression.right
    if isinstance(expression, Not | IsNull | Negate | Like | Cast):
        return (expression.part,)
    if isinstance(expression, InList):
        return (expression.part, *expression.values)
    if isinstance(expression, Call):
        return expression.args
    assert isinstance(expression, Column | Literal | VectorRange), type(expression)
    return ()


def map_children(expression: Expression, function: Callable[[Expression], Expression]) -> Expression:
    """The same node over `function(child)` for each child; the values of an InList are left alone."""
    if isinstance(expression, And | Or):
        return replace(expression, parts=tuple(function(part) for part in expression.parts))
    if isinstance(expression, Compare | Arithmetic):
        return replace(expression, left=function(expression.left), right=function(expression.right))
    if isinstance(expression, Not | IsNull | Negate | Like | Cast | InList):
        return replace(expression, part=function(expression.part))
    if isinstance(expression, Call):
        return replace(expression, args=tuple(function(arg) for arg in expression.args))
    return expression


def walk(expression: Expression) -> Iterator[Expression]:
    """Every node, parents first."""
    pending = [expression]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def columns(expression: Expression) -> frozenset[str]:
    """Name the columns a predicate reads.

    >>> sorted(columns(And((IsNull(Column("b")), Compare("=", Column("a"), Column("b"))))))
    ['a', 'b']
    """
    names: set[str] = set()
    pending = [expression]
    while pending:
        node = pending.pop()
        if isinstance(node, Column):
            names.add(node.name)
        elif isinstance(node, InList):
            pending.append(node.part)  # its values, which may be many, are constants
        elif not isinstance(node, Literal):
            pending.extend(children(node))
    return frozenset(names)


def conjuncts(expression: Expression) -> list[Expression]:
    """Split a predicate at its outer ANDs: a row passes when it passes each.

    >>> conjuncts(And((Column("a"), And((Column("b"), Or((Column("c"), Column("d"))))))))
    [Column(name='a'), Column(name='b'), Or(parts=(Column(name='c'), Column(name='d')))]
    """
    if not isinstance(expression, And):
        return [expression]
    return [found for part in expression.parts for found in conjuncts(part)]


def conjunction(parts: Iterable[Expression]) -> Expression:
    """Join predicates with AND; none of them is TRUE, one stays itself."""
    flat = [found for part in parts for found in conjuncts(part)]
    if not flat:
        return Literal(pa.scalar(True))
    return flat[0] if len(flat) == 1 else And(tuple(flat))
