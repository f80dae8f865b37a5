"""A plan as text, one line a node, inputs indented: what the files beside this one hold."""

from __future__ import annotations

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


def describe(node: Node, indent: str = "") -> str:
    """One line for each node, with its columns."""
    line = f"{indent}{_words(node)} -> {', '.join(node.schema.names)}"
    return "\n".join([line, *(describe(below, indent + "  ") for below in node.inputs)])


def _words(node: Node) -> str:
    match node:
        case Scan(source=source, predicate=predicate):
            return f"scan {source.name}" + (f" where {to_sql(predicate)}" if predicate is not None else "")
        case Filter(predicate=predicate):
            return f"filter {to_sql(predicate)}"
        case Project():
            return "select"
        case Shuffle(by=(), partition_count=count):
            return f"repartition into {count}"
        case Shuffle(by=by, partition_count=count, function=function):
            return f"shuffle by {', '.join(by)} into {count}" + (f" by {function}" if function != "hash" else "")
        case Distinct(by=by, keep=keep):
            return f"distinct by {', '.join(by)}" + (" keeping the last" if keep == "last" else "")
        case Sort(by=by):
            return f"sort by {', '.join(by)}"
        case Aggregate(by=by):
            return f"aggregate by {', '.join(by)}"
        case Sample(fraction=fraction, rows=rows):
            return f"sample {fraction if rows is None else f'of {rows} rows'}"
        case MapGroups(by=by, batches=batches):
            return f"map_groups by {', '.join(by)}" + (" as batches" if batches else "")
        case MapBatches():
            return "map_batches"
        case Head(rows=rows):
            return f"head {rows}"
        case Join(how=how, on=on):
            return f"{how} join on {', '.join('='.join(pair) for pair in on)}"
    raise AssertionError(type(node))
