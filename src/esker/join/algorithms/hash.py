"""Hash join: both sides are read once, divided by key through the shuffle, and spilled when they must be."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from esker.core.byte_size import format_bytes
from esker.core.context import QueryContext
from esker.join.divide import undividable
from esker.join.grace import GraceJoin
from esker.join.keyed import KeyedSide, filtered_by
from esker.join.price import disk_cost
from esker.join.problem import Estimate, JoinAlgorithm, JoinProblem
from esker.join.work import (
    DIVIDE_BYTES_PER_SECOND,
    GATHER_BYTES_PER_SECOND,
    MATCH_SECONDS_PER_ROW,
    SPILL_BYTES_PER_SECOND,
    held_bytes,
    read_cost,
)


class HashJoin(JoinAlgorithm):
    """Grace hash join; see `GraceJoin` for the order of its rows.

    Works for inputs of any size and skew. The shuffle's pages must take the types of all columns.
    """

    def estimate(self, problem: JoinProblem, context: QueryContext) -> Estimate:
        left, right = KeyedSide(problem.left, problem, context), KeyedSide(problem.right, problem, context)
        cost = read_cost(problem.left) + read_cost(problem.right)
        for schema in (left.schema, right.schema):
            if (refusal := undividable(schema)) is not None:
                return Estimate(cost, refusal, supported=False)
        size = sum(held_bytes(side.input, side.all_columns) for side in (problem.left, problem.right))
        if problem.limits is not None and size > problem.limits.disk_bytes:
            detail = f"both sides take {format_bytes(size)}, and the disk has {format_bytes(problem.limits.disk_bytes)}"
            return Estimate(cost, detail, supported=False)
        spilled = max(size - context.budget.free_bytes // 2, 0)
        rows = problem.left.input.candidate_count + problem.right.input.candidate_count
        work = (
            rows * MATCH_SECONDS_PER_ROW
            + size / DIVIDE_BYTES_PER_SECOND
            + size / GATHER_BYTES_PER_SECOND
            + spilled / SPILL_BYTES_PER_SECOND
        )
        cost += disk_cost(2 * spilled, problem.limits_in(context))
        detail = "both sides are read whole, divided by key" + (" and spilled in part" if spilled else "")
        return Estimate(cost, detail, work_seconds=work)

    def run(self, problem: JoinProblem, context: QueryContext) -> Iterator[pa.RecordBatch]:
        account, disk = problem.account, problem.limits_in(context).disk
        work = account.work("hash", account.seconds)
        spent = problem.spent.on(work)
        left, right = (KeyedSide(side, problem, context, spent) for side in (problem.left, problem.right))
        size = held_bytes(problem.right.input, problem.right.all_columns)
        with filtered_by(left, right, problem.layout, context):
            join = GraceJoin(left, right, problem.layout, context, partial(work.transfer, disk))
            yield from join.run(left.batches(), right.batches(), size)
        account.end_phase("hash")
