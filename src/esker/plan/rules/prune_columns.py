"""Read only the columns that something above asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa

from esker.expression import columns
from esker.join import join_schema
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


def prune_columns(node: Node) -> Node:
    """Narrow every scan to the columns its plan needs.

    A function sees all columns of its input: what it reads is not known.
    """
    return _prune(node, node.schema.names)


def _prune(node: Node, wanted: Iterable[str]) -> Node:
    names = _in_order(node.schema, wanted)
    if isinstance(node, Scan):
        return replace(node, schema=_subset(node.schema, names))
    if isinstance(node, Project):
        return _as_asked(_prune(node.input, names), names)
    if isinstance(node, Filter):
        below = _prune(node.input, {*names, *columns(node.predicate)})
        return _as_asked(Filter(below.schema, below, node.predicate), names)
    if isinstance(node, Shuffle | Distinct | Sort):
        below = _prune(node.input, {*names, *node.by})
        return _as_asked(replace(node, schema=below.schema, input=below), names)
    if isinstance(node, Aggregate):
        used = {*node.by, *(one.column for one in node.aggregator.aggregations)}
        return _as_asked(node.with_inputs((_prune(node.input, used),)), names)
    if isinstance(node, Head | Sample):
        below = _prune(node.input, names)
        return replace(node, schema=below.schema, input=below)
    if isinstance(node, Join):
        return _as_asked(_prune_join(node, set(names)), names)
    if isinstance(node, MapBatches | MapGroups):
        return node.with_inputs((_prune(node.input, node.input.schema.names),))
    return node.with_inputs(tuple(_prune(below, below.schema.names) for below in node.inputs))


def _prune_join(node: Join, wanted: set[str]) -> Node:
    left_names, right_names = frozenset(node.left.schema.names), node.right.schema.names
    left = {name for name, _ in node.on} | (wanted & left_names)
    right = {name for _, name in node.on}
    for name in right_names:
        if name in left_names and name + node.suffix in wanted:
            # The clash is what gives the right column its suffix, so the left one has to stay.
            left.add(name)
            right.add(name)
        elif name not in left_names and name in wanted:
            right.add(name)
    below = (_prune(node.left, left), _prune(node.right, right))
    schema = join_schema(below[0].schema, below[1].schema, node.on, node.how, node.suffix)
    return replace(node, schema=schema, left=below[0], right=below[1])


def _as_asked(node: Node, names: list[str]) -> Node:
    return node if node.schema.names == names else Project(_subset(node.schema, names), node)


def _in_order(schema: pa.Schema, wanted: Iterable[str]) -> list[str]:
    if isinstance(wanted, list):
        return list(wanted)
    asked = set(wanted)
    return [name for name in schema.names if name in asked]


def _subset(schema: pa.Schema, names: list[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in names])
