"""Compile a plan: nodes become streams of the engine, and an explanation of what will be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.core.seeded import generator
from esker.core.sort import sort_batches
from esker.engine.aggregate import aggregate, partial_stage
from esker.engine.distinct import distinct, distinct_stage
from esker.engine.map_groups import map_group_batches, map_groups
from esker.engine.placement import Placement, RoundRobin, deal_stage
from esker.engine.range_placement import RangePlacement, ids_stage
from esker.engine.sample import RowChance, drawn_stage, sample, sample_rows
from esker.engine.session import session_of
from esker.engine.shuffle_barrier import FetchedBarrier, ShuffleBarrier
from esker.engine.sources.stored import spooled_source
from esker.engine.stages import count_stage, filter_stage, head, map_stage, project_stage
from esker.engine.stream import PartitionedStream, run, single
from esker.engine.user_function import function_name
from esker.engine.vector_parts import vectors_stage
from esker.expression import to_sql
from esker.join import plan_join
from esker.join.input import JoinInput
from esker.plan.compiled import Compiled
from esker.plan.findings import Facts
from esker.plan.join_apart import joined_apart
from esker.plan.join_marks import marked_side
from esker.plan.node_task import EXCHANGED, behind, taken_apart, with_input
from esker.plan.nodes import (
    Aggregate,
    Dealt,
    Distinct,
    Drawn,
    Exchanged,
    Filter,
    FirstRows,
    Head,
    Join,
    JoinedRows,
    JoinPart,
    Keyed,
    KeyMarks,
    MapBatches,
    MapGroups,
    Node,
    Numbered,
    OneInput,
    Partials,
    Project,
    Sample,
    Scan,
    Shuffle,
    Sort,
    Vectored,
)
from esker.plan.ranges import Ranges, dealt, drawing, drawing_kept, kept_in_pages, ranged
from esker.plan.rules import optimise

# Smaller joins of files are done by the script: to move rows takes longer than to read them.
JOIN_APART_BYTES = 64 << 20


def compile_plan(node: Node, context: QueryContext, last: Callable[[Node], Node] | None = None) -> Compiled:
    """Optimise and compile; `last` puts a step behind what was optimised.

    Reads only what is hot: footers, catalogues, key columns, the index.
    """
    facts = Facts()
    context.log.listen(facts.see)
    optimised = optimise(node)
    compiled = _compile(last(optimised) if last is not None else optimised, context)
    compiled = replace(_as_one(compiled, context), facts=facts)
    compiled.explanation.number()
    context.log.emit("query_planned", plan=compiled.explanation.to_json())
    return compiled


def _compile(node: Node, context: QueryContext) -> Compiled:
    compiled = _COMPILERS[type(node)](node, context)
    stream, explanation = compiled.stream, compiled.explanation
    if compiled.counted:
        stream = stream.then(count_stage(context.activity.meter(explanation, stream.partition_count)))
    session = session_of(context)
    if session is not None and compiled.apart is not None:
        stream = taken_apart(
            stream, compiled.apart, explanation, compiled.barrier, compiled.direct, _compile_task, session, context
        )
    return replace(compiled, stream=stream)


def _as_one(compiled: Compiled, context: QueryContext) -> Compiled:
    """What has one partition where that is what it should have."""
    if not compiled.one:
        return compiled
    pieces = compiled.stream
    rows = single(pieces.schema, lambda: run(pieces, context, compiled.explanation.operator))
    return Compiled(rows, compiled.explanation)


def _compile_task(node: Node, context: QueryContext) -> tuple[PartitionedStream, Explanation]:
    """Compile what was optimised before it went to this process."""
    compiled = _compile(node, context)
    return compiled.stream, compiled.explanation


def _narrow(node: OneInput, below: Compiled, stream: PartitionedStream, explanation: Explanation) -> Compiled:
    """A step on each partition by itself."""
    apart = with_input(node, below.apart) if below.apart is not None else None
    return Compiled(stream, explanation, apart, below.barrier, one=below.one)


def _behind(
    node: OneInput, barrier: ShuffleBarrier, stream: PartitionedStream, explanation: Explanation, direct: bool = False
) -> Compiled:
    """A step on each partition of a shuffle."""
    apart = behind(node, barrier) if barrier.distributed else None
    return Compiled(stream, explanation, apart, barrier if barrier.distributed else None, direct)


def _scan(node: Scan, context: QueryContext) -> Compiled:
    read = node.source.read(node.schema.names, node.predicate, context)
    if node.source.apart(0) is None or not read.stream.partition_count:
        return Compiled(read.stream, read.explanation)

    def apart(index: int) -> Node:
        source = node.source.apart(index)
        assert source is not None
        return replace(node, source=source)

    return Compiled(read.stream, read.explanation, apart)


def _exchanged(node: Exchanged, context: QueryContext) -> Compiled:
    fetched = node.fetched
    stream = PartitionedStream(node.schema, fetched.partition_count, fetched.partition)
    return Compiled(stream, Explanation(EXCHANGED), counted=False)


def _filter(node: Filter, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    explanation = Explanation("filter", {"predicate": to_sql(node.predicate)}, inputs=[below.explanation])
    return _narrow(node, below, below.stream.then(filter_stage(node.predicate)), explanation)


def _project(node: Project, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    explanation = Explanation("select", {"columns": node.schema.names}, inputs=[below.explanation])
    stream = below.stream.then(project_stage(node.schema.names), node.schema)
    return _narrow(node, below, stream, explanation)


def _map_batches(node: MapBatches, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    explanation = Explanation("map_batches", {"function": function_name(node.function)}, inputs=[below.explanation])
    return _narrow(node, below, below.stream.then(map_stage(node.function, node.schema), node.schema), explanation)


def _barrier(
    node: MapGroups | Distinct | Aggregate, below: Compiled, context: QueryContext
) -> tuple[ShuffleBarrier, Explanation]:
    detail: dict[str, Any] = {"by": list(node.by), "partitions": node.partition_count}
    explanation = Explanation("shuffle", detail, inputs=[below.explanation])
    barrier = (
        FetchedBarrier(node.input.fetched, node.by, context, explanation)
        if isinstance(node.input, Exchanged)
        else ShuffleBarrier(
            below.stream, node.by, node.partition_count, context, explanation=explanation, counts_rows=True
        )
    )
    _explain_choice(explanation, barrier)
    return barrier, explanation


def _explain_choice(explanation: Explanation, barrier: ShuffleBarrier) -> None:
    choice = barrier.choice()
    explanation.detail |= {"strategy": choice.strategy, "because": choice.reason}


def _shuffle(node: Shuffle, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    if node.function == "range":
        # Samples are drawn by the numbers of partitions.
        below = _as_one(below, context)
    explanation = Explanation("shuffle" if node.by else "repartition", inputs=[below.explanation])
    if isinstance(node.input, Exchanged):
        return Compiled(below.stream, explanation)
    if node.by:
        explanation.detail["by"] = list(node.by)
    explanation.detail["partitions"] = node.partition_count
    session = session_of(context)
    placement: Placement | None = None if node.by else RoundRobin(node.partition_count)
    stream, numbered = below.stream, False
    if node.by and node.function != "hash":
        explanation.detail["function"] = node.function
    if node.function == "range":
        keys = _keys_again(node, context)
        explanation.detail["splitters"] = "from spooled rows" if keys is None else "from a pass over the keys"
        drawn = drawing(keys, _compile_task, context) if keys is not None else None
        placement = RangePlacement(node.by, node.partition_count, drawn)
        if session is not None and below.apart is not None:
            if drawn is None:
                explanation.detail["splitters"] = "from rows in pages"
                below = kept_in_pages(below, None, _compile_task, session, context)
                # Drawn by their places, as from spooled rows.
                drawn = drawing_kept(below, node.by, True, _compile_task, session, context)
                placement = RangePlacement(node.by, node.partition_count, drawn)
            stream, numbered = ranged(below, placement, _compile_task, session, context), True
            placement = None
    elif not node.by and session is not None and below.apart is not None:
        stream, numbered = dealt(below, node.partition_count, _compile_task, session, context), True
        placement = None
    barrier = ShuffleBarrier(
        stream,
        node.by,
        node.partition_count,
        context,
        strategy=node.strategy,
        function=node.function,
        placement=placement,
        numbered=numbered,
        explanation=explanation,
    )
    _explain_choice(explanation, barrier)
    return _behind(node, barrier, barrier.stream(), explanation, direct=True)


def _keys_again(node: Shuffle | Sort, context: QueryContext) -> Compiled | None:
    """The keys of the input as a plan of its own, or None where the input is dear to run, or runs only once."""
    if not _is_cheap_to_repeat(node.input):
        return None
    names = [name for name in node.input.schema.names if name in node.by]
    keys = Project(pa.schema([node.input.schema.field(name) for name in names]), node.input)
    return _compile(optimise(keys), context)


def _is_cheap_to_repeat(node: Node) -> bool:
    """Whether the rows come straight from a source that can be read again: no user's function, shuffle or join."""
    if isinstance(node, Scan):
        return node.source.repeatable
    narrow = isinstance(node, Filter | Project) or (isinstance(node, Sample) and node.rows is None)
    return narrow and _is_cheap_to_repeat(node.inputs[0])


def _map_groups(node: MapGroups, context: QueryContext) -> Compiled:
    barrier, below = _barrier(node, _compile(node.input, context), context)
    detail: dict[str, Any] = {"by": list(node.by), "function": function_name(node.function)}
    if node.batches:
        detail["groups"] = "as iterators of batches"
    explanation = Explanation("map_groups", detail, inputs=[below])
    mapped = map_group_batches if node.batches else map_groups
    return _behind(node, barrier, mapped(barrier, node.by, node.function, node.schema, context), explanation)


def _distinct(node: Distinct, context: QueryContext) -> Compiled:
    # At a worker the first half was done before the shuffle.
    half = isinstance(node.input, Exchanged)
    first = node.input if half else FirstRows(node.input.schema, node.input, node.by, node.keep)
    barrier, below = _barrier(node, _compile(first, context), context)
    explanation = Explanation("distinct", {"by": list(node.by), "keep": node.keep}, inputs=[below])
    return _behind(node, barrier, distinct(barrier, node.by, node.keep, node.schema, context), explanation)


def _first_rows(node: FirstRows, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    stream = below.stream.then(distinct_stage(node.by, node.keep))
    return replace(_narrow(node, below, stream, below.explanation), counted=False)


def _aggregate(node: Aggregate, context: QueryContext) -> Compiled:
    first = node.input
    if node.aggregator.combines and not isinstance(first, Exchanged):
        first = Partials(node.aggregator.partial_schema, first, node.aggregator)
    barrier, below = _barrier(node, _compile(first, context), context)
    made = [f"{one.function}({one.column})" for one in node.aggregator.aggregations]
    explanation = Explanation("aggregate", {"by": list(node.by), "columns": made}, inputs=[below])
    return _behind(node, barrier, aggregate(barrier, node.by, node.aggregator, context), explanation)


def _partials(node: Partials, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    stream = below.stream.then(partial_stage(node.aggregator), node.aggregator.partial_schema)
    return replace(_narrow(node, below, stream, below.explanation), counted=False)


def _sort(node: Sort, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    words = [f"{name} descending" if down else name for name, down in zip(node.by, node.descending, strict=True)]
    explanation = Explanation("sort", {"by": words}, inputs=[below.explanation])
    if node.nulls_first:
        explanation.detail["nulls"] = "first"
    ordered = partial(
        sort_batches,
        by=node.by,
        schema=node.schema,
        context=context,
        descending=node.descending,
        nulls_first=node.nulls_first,
    )
    if isinstance(node.input, Exchanged):
        # At a worker: one range of the keys.
        fetched = below.stream
        stream = replace(fetched, partition=lambda index: ordered(fetched.partition(index)))
        return Compiled(stream, explanation)
    barrier = _ranges_of(node, below, explanation, context)
    if barrier is not None:
        return Compiled(barrier.stream(), explanation, behind(node, barrier), barrier, one=True)
    return Compiled(single(node.schema, lambda: ordered(run(below.stream, context, "scan before sort"))), explanation)


def _ranges_of(node: Sort, below: Compiled, explanation: Explanation, context: QueryContext) -> ShuffleBarrier | None:
    """Ranges of the keys, each to be sorted in another process; None where rows are read here, or are one partition."""
    session = session_of(context)
    if session is None or below.apart is None or below.stream.partition_count < 2:
        return None
    ranges = Ranges(node.by, node.descending, node.nulls_first, session)
    keys = _keys_again(node, context)
    numbers = ranges.numbered(below, keys, _compile_task, context)
    explanation.detail["ranges"] = ranges.count
    return ShuffleBarrier(numbers, node.by, ranges.count, context, numbered=True)


def _numbered(node: Numbered, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    stream = below.stream.then(ids_stage(node.numbering), node.schema)
    return replace(_narrow(node, below, stream, below.explanation), counted=False)


def _drawn(node: Drawn, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    first = node.first_row
    chance = generator(node.seed, node.partition).random if first is None else RowChance(node.seed, first)
    stream = below.stream.then(drawn_stage(chance, node.rows, node.schema), node.schema)
    return Compiled(stream, below.explanation, counted=False)


def _dealt(node: Dealt, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    stream = below.stream.then(deal_stage(node.first_row, node.partition_count), node.schema)
    return Compiled(stream, below.explanation, counted=False)


def _vectored(node: Vectored, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    stage = vectors_stage(node.parts, node.schema, context.batch_rows)
    return replace(_narrow(node, below, below.stream.then(stage, node.schema), below.explanation), counted=False)


def _sample(node: Sample, context: QueryContext) -> Compiled:
    below = _as_one(_compile(node.input, context), context)
    explanation = Explanation("sample", inputs=[below.explanation])
    if node.rows is not None:
        explanation.detail |= {"n": node.rows, "seed": node.seed}
        drawn = drawing(below, _compile_task, context)(node.rows, node.seed)
        some = partial(sample_rows, drawn, node.rows, context)
        return Compiled(single(node.schema, some), explanation)
    assert node.fraction is not None, "a sample is a fraction or a number of rows"
    explanation.detail |= {"fraction": node.fraction, "seed": node.seed}
    return _narrow(node, below, sample(below.stream, node.fraction, node.seed), explanation)


def _head(node: Head, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    explanation = Explanation("head", {"rows": node.rows}, inputs=[below.explanation])

    def batches() -> Iterator[pa.RecordBatch]:
        return head(run(below.stream, context, "head"), node.rows)

    return Compiled(single(node.schema, batches), explanation)


def _join(node: Join, context: QueryContext) -> Compiled:
    apart = _joined_apart(node, context)
    if apart is not None:
        return apart
    left, left_explanation = _join_input(node.left, context)
    right, right_explanation = _join_input(node.right, context)
    plan = plan_join(left, right, node.on, node.how, algorithm=node.algorithm, suffix=node.suffix, context=context)
    explanation = Explanation(
        "join",
        {"on": [a if a == b else f"{a} = {b}" for a, b in node.on], "how": node.how},
        estimated=plan.estimates[plan.choice].cost,
        choice=plan.choice,
        reason=plan.reason,
        alternatives={
            name: estimate.cost
            for name, estimate in plan.estimates.items()
            if estimate.supported and name != plan.choice
        },
        inputs=[left_explanation, right_explanation],
    )

    def batches() -> Iterator[pa.RecordBatch]:
        yield from plan.run(context, explanation.step)
        explanation.actual = plan.actual
        explanation.detail["join_index_rows"] = plan.join_index_rows

    return Compiled(single(node.schema, batches), explanation)


def _joined_apart(node: Join, context: QueryContext) -> Compiled | None:
    """A join between processes; None where it is done here: asked for, small, or of rows that only this one reads."""
    session = session_of(context)
    if session is None or node.algorithm != "auto" or not _is_worth_moving(node, context):
        return None
    left, right = (_compile(side, context) for side in node.inputs)
    if left.apart is None or right.apart is None:
        return None
    explanation = Explanation(
        "join",
        {"on": [a if a == b else f"{a} = {b}" for a, b in node.on], "how": node.how},
        choice="hash",
        reason="both sides are divided by key between processes, where their rows are",
        inputs=[left.explanation, right.explanation],
    )
    side = marked_side(node.how, left, right)
    if side is not None:
        explanation.detail["filter"] = f"by keys of the {('left', 'right')[side]} side, if it is much the lesser"
    joined, node_of = joined_apart(node, left, right, side, _compile_task, session, context)
    stream = replace(joined.stream(), schema=node.schema)
    return Compiled(stream, explanation, node_of, joined, one=True)


def _joined_rows(node: JoinedRows, context: QueryContext) -> Compiled:
    below = _compile(node.input, context).stream

    def partition(index: int) -> Iterator[pa.RecordBatch]:
        ordered = sort_batches(below.partition(index), node.by, below.schema, context)
        return project_stage(node.schema.names)(ordered)

    return Compiled(PartitionedStream(node.schema, below.partition_count, partition), Explanation("join"))


def _is_worth_moving(node: Join, context: QueryContext) -> bool:
    """Whether rows are many, or would come here to be kept: those that are computed."""
    size = 0
    for side in node.inputs:
        if not isinstance(side, Scan):
            return True
        if side.source.apart(0) is None:
            return False
        given, _ = side.source.join_input(side.schema.names, side.predicate, context)
        size += given.store.scan_cost(side.schema.names).bytes
    return size >= JOIN_APART_BYTES


def _keyed(node: Keyed, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    stream = below.stream.then(node.keying.stage(node.partition, node.schema, node.marks), node.schema)
    return Compiled(stream, below.explanation, counted=False)


def _key_marks(node: KeyMarks, context: QueryContext) -> Compiled:
    below = _compile(node.input, context)
    return Compiled(below.stream.then(node.marking.stage, node.schema), below.explanation, counted=False)


def _join_part(node: JoinPart, context: QueryContext) -> Compiled:
    explanation = Explanation(EXCHANGED)
    given = [
        spooled_source(single(one.schema, partial(one.partition, one.index)), explanation, context).join_input(
            one.schema.names, None, context
        )[0]
        for one in (node.left, node.right)
    ]

    def batches(index: int) -> Iterator[pa.RecordBatch]:
        return plan_join(given[0], given[1], node.on, node.how, suffix=node.suffix, context=context).run(context)

    stream = PartitionedStream(node.schema, node.left.partition_count, batches)
    return Compiled(stream, explanation, counted=False)


def _join_input(node: Node, context: QueryContext) -> tuple[JoinInput, Explanation]:
    """A scan is joined by row id; anything computed is run once and kept where rows can be read by position."""
    if isinstance(node, Scan):
        return node.source.join_input(node.schema.names, node.predicate, context)
    below = _compile(node, context)
    source = spooled_source(below.stream, below.explanation, context)
    return source.join_input(node.schema.names, None, context)


_COMPILERS: dict[type[Node], Callable[[Any, QueryContext], Compiled]] = {
    Scan: _scan,
    Exchanged: _exchanged,
    FirstRows: _first_rows,
    Partials: _partials,
    Numbered: _numbered,
    Drawn: _drawn,
    Dealt: _dealt,
    Vectored: _vectored,
    Keyed: _keyed,
    KeyMarks: _key_marks,
    JoinPart: _join_part,
    JoinedRows: _joined_rows,
    Filter: _filter,
    Project: _project,
    MapBatches: _map_batches,
    Shuffle: _shuffle,
    MapGroups: _map_groups,
    Distinct: _distinct,
    Aggregate: _aggregate,
    Sort: _sort,
    Sample: _sample,
    Head: _head,
    Join: _join,
}
