"""Push filters towards the sources, where an index, statistics or hot columns can answer them."""

from __future__ import annotations

from dataclasses import replace

from esker.expression import Expression, columns, conjunction, conjuncts
from esker.plan.nodes import Filter, Join, Node, Project, Scan, Shuffle, Sort


def push_filters(node: Node) -> Node:
    """Merge filters, and move each conjunct as far down as its columns allow.

    A filter stays above functions, groups, `distinct` and `head`, whose rows it would change.
    """
    if isinstance(node, Filter):
        return _push(node.input, conjuncts(node.predicate))
    return node.with_inputs(tuple(push_filters(below) for below in node.inputs))


def _push(node: Node, parts: list[Expression]) -> Node:
    if isinstance(node, Filter):
        return _push(node.input, [*conjuncts(node.predicate), *parts])
    if isinstance(node, Scan):
        known = conjuncts(node.predicate) if node.predicate is not None else []
        return replace(node, predicate=conjunction([*known, *parts]))
    if isinstance(node, Project | Shuffle | Sort):
        return node.with_inputs((_push(node.input, parts),))
    if isinstance(node, Join):
        return _push_into_join(node, parts)
    return _filtered(push_filters(node), parts)


def _push_into_join(node: Join, parts: list[Expression]) -> Node:
    # A side that keeps unmatched rows of the other would gain rows from a filter on it, so only these sides take one.
    # A coalesced key of a right or full join is neither side's column, so nothing moves there.
    left_takes = node.how in ("inner", "left", "semi", "anti")
    right_takes = node.how == "inner"
    left_names = set(node.left.schema.names)
    right_names = set(node.right.schema.names) - left_names
    to_left = [part for part in parts if left_takes and columns(part) <= left_names]
    to_right = [part for part in parts if right_takes and part not in to_left and columns(part) <= right_names]
    rest = [part for part in parts if part not in to_left and part not in to_right]
    left = _push(node.left, to_left) if to_left else push_filters(node.left)
    right = _push(node.right, to_right) if to_right else push_filters(node.right)
    return _filtered(node.with_inputs((left, right)), rest)


def _filtered(node: Node, parts: list[Expression]) -> Node:
    return Filter(node.schema, node, conjunction(parts)) if parts else node
