"""The plan of a Bag as a tree of steps; nothing is run."""

from __future__ import annotations

from typing import Any

from esker.core.explanation import Explanation
from esker.engine.bag.plan import Node, StepNode
from esker.engine.user_function import function_name

# Steps deeper than this are left out: a loop makes plans of thousands.
DEPTH_MAX = 60


def sketch_bag(node: Node) -> Explanation:
    """The steps, with the lines of the program that made them."""
    drawn = _sketch(node, DEPTH_MAX)
    drawn.number()
    return drawn


def _sketch(node: Node, depth: int) -> Explanation:
    if not depth:
        return Explanation("…")
    detail: dict[str, Any] = {}
    if isinstance(node, StepNode):
        detail["function"] = function_name(getattr(node.step.function, "user_function", node.step.function))
    detail["partitions"] = node.partition_count
    if node.site:
        detail["at"] = node.site
    return Explanation(node.operator, detail, inputs=[_sketch(parent, depth - 1) for parent in node.parents])
