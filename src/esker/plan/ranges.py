"""Rows put into ranges of their keys in other processes: the sample of the keys here, all else where the rows are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.placement import numbered_schema
from esker.engine.range_placement import OneNumber, RangePlacement, ids_stage
from esker.engine.session import Session
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.splitters import Splitters
from esker.engine.stages import project_stage
from esker.engine.stream import PartitionedStream
from esker.plan.compiled import Compiled
from esker.plan.node_task import Compile, taken_apart
from esker.plan.nodes import Exchanged, Node, Numbered, Project

# Ranges for each worker: with more, less is sorted again when one is lost, and rows come sooner.
_RANGES_OF_A_WORKER = 4


def ranged(
    below: Compiled, placement: RangePlacement, compile_: Compile, session: Session, context: QueryContext
) -> PartitionedStream:
    """The rows below with the numbers of their ranges, made in other processes; splitters come first, once."""
    assert below.apart is not None, "asked of what can go to other processes"
    apart, schema = below.apart, numbered_schema(below.stream.schema)
    splitters = _Once(lambda: placement.splitters(context))

    def node_of(index: int) -> Node:
        return Numbered(schema, apart(index), splitters())

    def here(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return ids_stage(splitters())(batches)

    return taken_apart(
        below.stream.then(here, schema), node_of, below.explanation, below.barrier, False, compile_, session, context
    )


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
        self, below: Compiled, keys: PartitionedStream | None, compile_: Compile, context: QueryContext
    ) -> PartitionedStream:
        """The rows with the numbers of their ranges. Without a stream of `keys` they are kept in pages first."""
        if keys is None:
            below, keys = self._kept(below, compile_, context)
        placement = RangePlacement(self.by, self.count, keys, self.descending, self.nulls_first)
        return ranged(below, placement, compile_, self.session, context)

    def _kept(self, below: Compiled, compile_: Compile, context: QueryContext) -> tuple[Compiled, PartitionedStream]:
        """Rows that are dear to make twice, in pages of the nodes that made them, in their order; and their keys."""
        assert below.apart is not None, "asked of what can go to other processes"
        apart, schema = below.apart, numbered_schema(below.stream.schema)
        inputs = below.stream.partition_count
        count = min(inputs, self.count)

        def node_of(index: int) -> Node:
            return Numbered(schema, apart(index), OneNumber(index * count // inputs))

        numbers = taken_apart(
            replace(below.stream, schema=schema, remote=None),
            node_of,
            below.explanation,
            below.barrier,
            False,
            compile_,
            self.session,
            context,
        )
        kept = ShuffleBarrier(numbers, (), count, context, numbered=True)

        def exchanged(index: int) -> Node:
            return Exchanged(kept.schema, kept.shuffle().fetched(index))

        key_schema = pa.schema([field for field in kept.schema if field.name in self.by])
        keys = taken_apart(
            kept.stream().then(project_stage(key_schema.names), key_schema),
            lambda index: Project(key_schema, exchanged(index)),
            None,
            kept,
            False,
            compile_,
            self.session,
            context,
            again=True,
        )
        return replace(below, stream=kept.stream(), apart=exchanged, barrier=kept), keys


class _Once:
    """Makes a value when it is first asked for, by whichever thread."""

    def __init__(self, make: Callable[[], Splitters]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Splitters | None = None

    def __call__(self) -> Splitters:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made
