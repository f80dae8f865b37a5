"""A plan as it was asked for, drawn without planning: nothing is read, and no cost is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.engine.sources.stored import scan_explanation
from esker.engine.user_function import function_name
from esker.expression import to_sql
from esker.plan.nodes import (
    Aggregate,
    Distinct,
    Filter,
    Head,
    Join,
    MapBatches,
    MapGroups,
    Node,
    Project,
    Sample,
    Scan,
    Shuffle,
    Sort,
)
from esker.plan.rules import optimise

# Above this many steps the lowest are left out: plans that a loop made have thousands.
DEPTH_MAX = 60


def sketch(node: Node) -> Explanation:
    """The steps of a plan, after the rules; `explain` adds what each will read, which may mean to join keys."""
    drawn = _sketch(optimise(node), DEPTH_MAX)
    drawn.number()
    return drawn


def preview_cost(node: Node) -> Cost | None:
    """What the first rows cost at most; None where they are not at hand: behind any other step, or far away."""
    while isinstance(node, Project | Head):
        node = node.input
    return node.source.preview_cost(node.schema.names) if isinstance(node, Scan) and node.predicate is None else None


def _sketch(node: Node, depth: int) -> Explanation:
    if not depth:
        return Explanation("…")
    drawn = _DRAWN[type(node)](node)
    drawn.inputs = [_sketch(below, depth - 1) for below in node.inputs]
    return drawn


def _scan(node: Scan) -> Explanation:
    return scan_explanation(node.source.name, node.source.format, node.schema.names, node.predicate)


def _shuffle(node: Shuffle) -> Explanation:
    by = {"by": list(node.by)} if node.by else {}
    return Explanation("shuffle" if node.by else "repartition", {**by, "partitions": node.partition_count})


def _aggregate(node: Aggregate) -> Explanation:
    made = [f"{one.function}({one.column})" for one in node.aggregator.aggregations]
    return Explanation("aggregate", {"by": list(node.by), "columns": made})


def _sample(node: Sample) -> Explanation:
    size = {"n": node.rows} if node.rows is not None else {"fraction": node.fraction}
    return Explanation("sample", {**size, "seed": node.seed})


def _join(node: Join) -> Explanation:
    pairs = [left if left == right else f"{left} = {right}" for left, right in node.on]
    detail = {"on": pairs, "how": node.how}
    return Explanation("join", detail, choice=node.algorithm if node.algorithm != "auto" else None)


_DRAWN: dict[type[Node], Callable[[Any], Explanation]] = {
    Scan: _scan,
    Filter: lambda node: Explanation("filter", {"predicate": to_sql(node.predicate)}),
    Project: lambda node: Explanation("select", {"columns": node.schema.names}),
    MapBatches: lambda node: Explanation("map_batches", {"function": function_name(node.function)}),
    Shuffle: _shuffle,
    MapGroups: lambda node: Explanation("map_groups", {"by": list(node.by), "function": function_name(node.function)}),
    Distinct: lambda node: Explanation("distinct", {"by": list(node.by), "keep": node.keep}),
    Aggregate: _aggregate,
    Sort: lambda node: Explanation("sort", {"by": list(node.by)}),
    Sample: _sample,
    Head: lambda node: Explanation("head", {"rows": node.rows}),
    Join: _join,
}
