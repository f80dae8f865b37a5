"""Rows put into ranges of their keys in other processes: the sample of the keys here, all else where the rows are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.placement import numbered_schema
from esker.engine.range_placement import Draw, OneNumber, RangePlacement, ids_stage
from esker.engine.sample import draw, drawn_schema
from esker.engine.session import Session, session_of
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stages import project_stage
from esker.engine.stream import PartitionedStream
from esker.plan.compiled import Compiled
from esker.plan.node_task import Compile, NodeOf, taken_apart
from esker.plan.nodes import Dealt, Drawn, Exchanged, Node, Numbered, Project
from esker.plan.once import Once

# Ranges for each worker: with more, less is sorted again when one is lost, and rows come sooner.
_RANGES_OF_A_WORKER = 4


def ranged(
    below: Compiled, placement: RangePlacement, compile_: Compile, session: Session, context: QueryContext
) -> PartitionedStream:
    """The rows below with the numbers of their ranges, made in other processes; splitters come first, once."""
    assert below.apart is not None, "asked of what can go to other processes"
    apart, schema = below.apart, numbered_schema(below.stream.schema)
    splitters = Once(lambda: placement.splitters(context))

    def node_of(index: int) -> Node:
        return Numbered(schema, apart(index), splitters())

    def here(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return ids_stage(splitters())(batches)

    return taken_apart(
        below.stream.then(here, schema), node_of, below.explanation, below.barrier, False, compile_, session, context
    )


def kept_in_pages(
    below: Compiled, count_max: int | None, compile_: Compile, session: Session, context: QueryContext
) -> Compiled:
    """Rows that are wanted twice and dear to make, in pages of the nodes that made them, in their order.

    They are in up to `count_max` partitions, or in those they were in. Whoever reads them last says so.
    """
    assert below.apart is not None, "asked of what can go to other processes"
    apart, schema = below.apart, numbered_schema(below.stream.schema)
    inputs = below.stream.partition_count
    count = inputs if count_max is None else min(inputs, count_max)

    def node_of(index: int) -> Node:
        return Numbered(schema, apart(index), OneNumber(index * count // inputs))

    numbers = taken_apart(
        replace(below.stream, schema=schema, remote=None),
        node_of,
        below.explanation,
        below.barrier,
        False,
        compile_,
        session,
        context,
    )
    kept = ShuffleBarrier(numbers, (), count, context, numbered=True)

    def exchanged(index: int) -> Node:
        return Exchanged(kept.schema, kept.shuffle().fetched(index))

    return replace(below, stream=kept.stream(), apart=exchanged, barrier=kept)


def first_rows(kept: Compiled) -> Sequence[int]:
    """Of each partition of rows `kept_in_pages`, how many rows come before."""
    assert kept.barrier is not None, "asked of rows in pages"
    return [0, *accumulate(kept.barrier.shuffle().partition_rows)]


def drawing(keys: Compiled, compile_: Compile, context: QueryContext) -> Draw:
    """How rows in a pass of their own draw numbers: where they are made."""
    session = session_of(context)
    if session is None or keys.apart is None or keys.one:
        return partial(draw, keys.stream)
    return partial(_drawn_apart, keys, keys.apart, None, False, compile_, session, context)


def drawing_kept(
    kept: Compiled, by: Sequence[str], places: bool, compile_: Compile, session: Session, context: QueryContext
) -> Draw:
    """How the keys of rows `kept_in_pages` draw numbers; by their places among all rows if `places`."""
    assert kept.apart is not None, "pages can be read in other processes"
    apart = kept.apart
    schema = pa.schema([kept.stream.schema.field(name) for name in by])
    keys = replace(kept, stream=kept.stream.then(project_stage(schema.names), schema))
    firsts = partial(first_rows, kept) if places else None
    return partial(
        _drawn_apart, keys, lambda index: Project(schema, apart(index)), firsts, True, compile_, session, context
    )


def _drawn_apart(
    below: Compiled,
    apart: NodeOf,
    firsts: Callable[[], Sequence[int]] | None,
    again: bool,
    compile_: Compile,
    session: Session,
    context: QueryContext,
    row_count: int,
    seed: int,
) -> PartitionedStream:
    schema = drawn_schema(below.stream.schema)

    def node_of(index: int) -> Node:
        first = firsts()[index] if firsts is not None else None
        return Drawn(schema, apart(index), row_count, seed, index, first)

    return taken_apart(
        replace(draw(below.stream, row_count, seed), remote=None),
        node_of,
        None if again else below.explanation,
        below.barrier,
        False,
        compile_,
        session,
        context,
        again=again,
    )


def dealt(
    below: Compiled, partition_count: int, compile_: Compile, session: Session, context: QueryContext
) -> PartitionedStream:
    """Rows dealt out one by one in other processes: in pages first, so that the number of each is known."""
    kept = kept_in_pages(below, None, compile_, session, context)
    assert kept.apart is not None, "pages can be read in other processes"
    apart, schema = kept.apart, numbered_schema(below.stream.schema)

    def node_of(index: int) -> Node:
        return Dealt(schema, apart(index), first_rows(kept)[index], partition_count)

    stream = replace(kept.stream, schema=schema, remote=None)
    return taken_apart(stream, node_of, kept.explanation, kept.barrier, False, compile_, session, context)


@dataclass(frozen=True)
class Ranges:
    """The ranges of a sort."""

    by: tuple[str, ...]
    descending: tuple[bool, ...]
    nulls_first: bool
    session: Session

    @property
    def count(self) -> int:
        """How many there are."""
        return _RANGES_OF_A_WORKER * self.session.worker_count

    def numbered(
        self, below: Compiled, keys: Compiled | None, compile_: Compile, context: QueryContext
    ) -> PartitionedStream:
        """The rows with the numbers of their ranges. Without their `keys` in a pass of its own they are kept first."""
        if keys is not None:
            drawn = drawing(keys, compile_, context)
        else:
            below = kept_in_pages(below, self.count, compile_, self.session, context)
            drawn = drawing_kept(below, self.by, False, compile_, self.session, context)
        placement = RangePlacement(self.by, self.count, drawn, self.descending, self.nulls_first)
        return ranged(below, placement, compile_, self.session, context)
