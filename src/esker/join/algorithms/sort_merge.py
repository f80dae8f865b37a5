"""Sort-merge join: both sides sorted by their keys, runs spilled, merged side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pyarrow as pa

from esker.core.byte_size import format_bytes
from esker.core.context import QueryContext
from esker.join.merge_join import SortMergeJoin
from esker.join.part_join import RowEmitter
from esker.join.price import disk_cost
from esker.join.problem import Estimate, JoinAlgorithm, JoinProblem
from esker.join.relation import SideRelation
from esker.join.scans import Scans
from esker.join.work import (
    GATHER_BYTES_PER_SECOND,
    MATCH_SECONDS_PER_ROW,
    MERGE_BYTES_PER_SECOND,
    SORT_SECONDS_PER_ROW,
)


class ExternalSortMergeJoin(JoinAlgorithm):
    """Sort both sides by key and read them side by side; each is read once, from any tier.

    Rows come out in the order of a key that is one number or time, by the hash of other keys; those with a null key
    first. Takes any payload types.
    """

    def estimate(self, problem: JoinProblem, context: QueryContext) -> Estimate:
        limits = problem.limits_in(context)
        sides = [Scans.of(problem.left), Scans.of(problem.right)]
        cost, passes, size, merged = sides[0].first + sides[1].first, 0, 0, 0
        for side in sides:
            size += side.held_bytes
            if side.held_bytes > limits.memory_bytes:
                runs = math.ceil(side.held_bytes / limits.memory_bytes)
                levels = max(1, math.ceil(math.log(runs, limits.fan_in)))
                cost += disk_cost(2 * levels * side.held_bytes, limits)
                passes = max(passes, levels)
                merged += levels * side.held_bytes
        if problem.limits is not None and passes and size > limits.disk_bytes:
            detail = f"both sides take {format_bytes(size)}, and the disk has {format_bytes(limits.disk_bytes)}"
            return Estimate(cost, detail, supported=False)
        rows = problem.left.input.candidate_count + problem.right.input.candidate_count
        work = rows * (MATCH_SECONDS_PER_ROW + SORT_SECONDS_PER_ROW) + 2 * size / GATHER_BYTES_PER_SECOND
        work += merged / MERGE_BYTES_PER_SECOND
        detail = (
            f"runs are spilled and merged, {passes:,} times at most" if passes else "both sides are sorted in memory"
        )
        return Estimate(cost, detail, work_seconds=work)

    def run(self, problem: JoinProblem, context: QueryContext) -> Iterator[pa.RecordBatch]:
        left, right = (SideRelation(side, problem, context) for side in (problem.left, problem.right))
        emitter = RowEmitter(problem.layout, context)
        rows = problem.right.input.store.row_count
        limits = problem.limits_in(context)
        yield from SortMergeJoin(left, right, emitter, rows, limits, problem.account, context).run()
