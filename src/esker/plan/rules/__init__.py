"""The rule family: each turns a plan into a cheaper one with the same rows. They run in this order, once."""

from __future__ import annotations

from collections.abc import Callable

from esker.core.family import Family
from esker.plan.nodes import Node

RULES: Family[Callable[[Node], Node]] = Family(
    "rule",
    {
        "push_filters": "esker.plan.rules.push_filters:push_filters",
        "prune_columns": "esker.plan.rules.prune_columns:prune_columns",
    },
)


def optimise(node: Node) -> Node:
    """Apply every rule."""
    for rule in RULES.values():
        node = rule(node)
    return node
