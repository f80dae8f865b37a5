"""The plan of a Bag as a tree of steps; nothing is run."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from esker.core.explanation import Explanation
from esker.engine.bag.plan import Node, StepNode
from esker.engine.user_function import function_name

# Steps deeper than this are left out: a loop makes plans of thousands. And so are more than this in all: a step that
# two others read is drawn for both, and what lies below it, too.
DEPTH_MAX = 60
STEPS_MAX = 500


def sketch_bag(node: Node, drawn: MutableMapping[int, list[Explanation]] | None = None) -> Explanation:
    """The steps, with the lines of the program that made them; `drawn` gets them by the ids of their nodes."""
    steps: MutableMapping[int, list[Explanation]] = {} if drawn is None else drawn
    sketch = _Sketch(steps).of(node, DEPTH_MAX)
    sketch.number()
    return sketch


class _Sketch:
    def __init__(self, drawn: MutableMapping[int, list[Explanation]]) -> None:
        self._drawn = drawn
        self._count = 0

    def of(self, node: Node, depth: int) -> Explanation:
        if not depth or self._count >= STEPS_MAX:
            return Explanation("…")
        self._count += 1
        step = Explanation(node.operator, _detail(node))
        self._drawn.setdefault(id(node), []).append(step)
        step.inputs = [self.of(parent, depth - 1) for parent in node.parents]
        return step


def _detail(node: Node) -> dict[str, Any]:
    detail: dict[str, Any] = {}
    if isinstance(node, StepNode):
        detail["function"] = function_name(getattr(node.step.function, "user_function", node.step.function))
    detail["partitions"] = node.partition_count
    if node.site:
        detail["at"] = node.site
    return detail
