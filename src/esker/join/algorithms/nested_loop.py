"""Block nested loop: a block of the smaller side in memory, the other side read past it, again for each block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.orient import build_on_smaller
from esker.join.part_join import PartJoin, RowEmitter
from esker.join.problem import Estimate, JoinAlgorithm, JoinProblem
from esker.join.relation import SideRelation
from esker.join.scans import Scans
from esker.join.work import MATCH_SECONDS_PER_ROW

# What rows in memory may take more than their columns are thought to.
_MARGIN = 1.15


class BlockNestedLoopJoin(JoinAlgorithm):
    """Read the larger side once for each block of the smaller one; writes nothing, takes any payload types.

    Rows come out block by block, in a block by the row ids of the larger side.
    """

    def estimate(self, problem: JoinProblem, context: QueryContext) -> Estimate:
        problem = build_on_smaller(problem)
        build, probe = Scans.of(problem.right), Scans.of(problem.left)
        # Sizes are guessed: a block more than thought is a whole scan more, and on tape a way back.
        blocks = max(1, math.ceil(_MARGIN * build.held_bytes / problem.limits_in(context).memory_bytes))
        # Rows of the larger side that come out on their own do so after the last block.
        passes = blocks + (problem.layout.lone_left(np.zeros(0, np.bool_)) is not None)
        rows = problem.right.input.candidate_count + blocks * problem.left.input.candidate_count
        detail = f"{passes:,} scans of the larger side, one for each block of the smaller"
        return Estimate(build.first + probe.times(passes), detail, work_seconds=rows * MATCH_SECONDS_PER_ROW)

    def run(self, problem: JoinProblem, context: QueryContext) -> Iterator[pa.RecordBatch]:
        problem = build_on_smaller(problem)
        account, limits = problem.account, problem.limits_in(context)
        left, right = (SideRelation(side, problem, context) for side in (problem.left, problem.right))
        emitter = RowEmitter(problem.layout, context)
        work = account.work("loop", account.seconds)

        def scan() -> Iterator[pa.RecordBatch]:
            account.counts["scans of the probe side"] += 1
            return left.scan(work)

        rows = problem.right.input.store.row_count
        with closing(PartJoin(left, right, emitter, rows, limits.memory_bytes, context)) as parts:
            account.counts["scans of the build side"] += 1
            yield from parts.join(right.scan(work), scan, problem.left.input.candidate_count, last=True)
        account.end_phase("loop")
