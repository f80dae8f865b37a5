"""What compiling makes of a node."""

from __future__ import annotations

from dataclasses import dataclass, field

from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stream import PartitionedStream
from esker.plan.findings import Facts
from esker.plan.node_task import NodeOf


@dataclass(frozen=True)
class Compiled:
    """A plan that is ready to run, and what it will do.

    `apart` is the plan of a partition for another process, where there can be one; `barrier` the shuffle that it comes
    from; `direct` says that nothing is done with the rows behind it. Steps without a name of their own are not counted.
    The partitions of what is `one` are pieces, made in other processes, of what is one partition on one machine:
    steps behind it may work piece by piece, but to those who number or count partitions it is one.
    """

    stream: PartitionedStream
    explanation: Explanation
    apart: NodeOf | None = None
    barrier: ShuffleBarrier | None = None
    direct: bool = False
    counted: bool = True
    one: bool = False
    facts: Facts = field(default_factory=Facts)

    def done(self, rows: int, context: QueryContext) -> None:
        """Log that all rows were delivered, with the plan as it went."""
        context.activity.finish()
        self.explanation.findings = [str(finding) for finding in self.facts.findings()]
        context.log.emit(
            "query_done", rows=rows, peak_held_bytes=context.budget.peak_bytes, plan=self.explanation.to_json()
        )
