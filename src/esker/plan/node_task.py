"""A partition of a plan as a task for another process: the plan goes there as values, and is compiled there again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.engine.remote import PartitionTask, RemoteStream, Report, run_one
from esker.engine.session import Session
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stream import PartitionedStream
from esker.plan.nodes import Exchanged, Node, OneInput

#: The plan of one partition, for another process.
NodeOf = Callable[[int], Node]
Compile = Callable[[Node, QueryContext], tuple[PartitionedStream, Explanation]]


@dataclass(frozen=True, eq=False)
class NodeTask:
    """Makes partition `index` of `node`."""

    node: Node
    index: int
    compile: Compile

    def open(self, context: QueryContext) -> tuple[Iterator[pa.RecordBatch], Callable[[], Report]]:
        """Compile the plan with the context of the task; see `PartitionTask`."""
        stream, explanation = self.compile(self.node, context)
        return stream.partition(self.index), partial(_report, explanation, context)


def _report(explanation: Explanation, context: QueryContext) -> Report:
    steps = [step for step in explanation.walk() if step.operator != EXCHANGED]
    return Report(tuple(context.activity.meter(step).counts() for step in steps))


EXCHANGED = "exchange"


def with_input(node: OneInput, below: NodeOf) -> NodeOf:
    """The plan of a partition of a narrow step: that of the same partition below, and the step."""
    return lambda index: replace(node, input=below(index))


def behind(node: OneInput, barrier: ShuffleBarrier) -> NodeOf:
    """The plan of a partition behind a shuffle, which is run when the first one is asked for."""

    def node_of(index: int) -> Node:
        fetched = barrier.shuffle().fetched(index)
        return replace(node, input=Exchanged(barrier.schema, fetched))

    return node_of


def taken_apart(
    stream: PartitionedStream,
    node_of: NodeOf,
    explanation: Explanation | None,
    barrier: ShuffleBarrier | None,
    direct: bool,
    compile_: Compile,
    session: Session,
    context: QueryContext,
    *,
    again: bool = False,
) -> PartitionedStream:
    """A stream whose partitions are made in other processes; `barrier` is the shuffle that they come from, if any.

    Without an `explanation` nothing is counted. The shuffle will be read `again`: its pages are still wanted.
    """
    lock = threading.Lock()

    def task(index: int) -> PartitionTask:
        return NodeTask(node_of(index), index, compile_)

    def report(report: Report) -> None:
        if explanation is None:
            return
        with lock:
            # The task's plan is a chain that ends where its shuffle begins: the first steps of the whole one.
            for step, counts in zip(explanation.walk(), report.counts, strict=False):
                context.activity.meter(step).add(counts)

    def done(index: int) -> None:
        if barrier is not None and not again:
            barrier.shuffle().finished(index)

    def prepare() -> None:
        if barrier is not None:
            barrier.operator()

    remote = RemoteStream(task, report, done, prepare, direct)
    if direct:
        return replace(stream, remote=remote)
    return replace(stream, partition=partial(run_one, remote, session, context), held_bytes=0, remote=remote)
