"""Attribute-separation join (source 003): keys decide, then each payload is read at most once, in storage order."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.row_set import RowSet
from esker.join.decide import decide
from esker.join.materialise import left_rows_needed, materialise, put_together_seconds, right_rows_needed
from esker.join.orient import scratch_tape
from esker.join.price import separated
from esker.join.problem import Estimate, JoinAlgorithm, JoinProblem, Side
from esker.join.reading import ReadChoice, choose_read
from esker.join.separated import SeparatedJoin
from esker.join.work import MATCH_SECONDS_PER_ROW, expected_rows

# How many rows match is not known before the keys are joined: few are this share of those assumed.
_FEW = 0.25


class AttributeSeparationJoin(JoinAlgorithm):
    """Join the key columns, then fetch what matched, or scan a side where that is cheaper.

    The estimate is exact once the join index is known. Rows come out by left row id, then right row id; right rows
    without a partner come last, by theirs. Takes any types as payload.
    """

    def estimate(self, problem: JoinProblem, context: QueryContext) -> Estimate:
        if _separates(problem):
            limits = problem.limits_in(context)
            cost, passes = separated(problem, limits)
            few = separated(problem, limits, _FEW)[0] if problem.index is None else None
            apart = "keys are apart already" if problem.index is not None else "both sides are scanned for their keys"
            passed = f"{passes:,} pass{'es' if passes > 1 else ''} over the other side's rows"
            work = _work_seconds(problem, context)
            return Estimate(cost, f"{apart}; {passed}", work_seconds=work, few_matches=few)
        reads = payload_reads(problem)
        if problem.index is not None:
            keys, detail = problem.decided, f"join index of {problem.index.pair_count:,} pairs; "
        else:
            keys = _key_cost(problem.left) + _key_cost(problem.right)
            detail = "assuming that the smaller side's rows match once each, spread evenly; "
        detail += ", ".join(
            f"{name}: {choice.method if choice.method != 'none' else 'nothing to read'}"
            for name, choice in zip(("left", "right"), reads, strict=True)
        )
        return Estimate(keys + reads[0].cost + reads[1].cost, detail, work_seconds=_work_seconds(problem, context))

    def run(self, problem: JoinProblem, context: QueryContext) -> Iterator[pa.RecordBatch]:
        if _separates(problem):
            yield from SeparatedJoin(problem, context).run()
            return
        index = problem.index
        if index is None:
            index = problem.index = decide(problem, context)
        try:
            yield from materialise(problem, index, context)
        finally:
            index.close()


def _separates(problem: JoinProblem) -> bool:
    """Whether the phases run within limits, on an account of their devices.

    So it is where limits are given, and where keys lie on tape with the rows; keys that are apart already are joined
    without them, and the payload is fetched.
    """
    hot = problem.left.decides_hot and problem.right.decides_hot
    return problem.limits is not None or (scratch_tape(problem) is not None and not hot)


def payload_reads(problem: JoinProblem) -> tuple[ReadChoice, ReadChoice]:
    """How each side's payload will be read: exact with a join index, else by the stated assumption."""
    left, right = problem.left, problem.right
    if problem.index is not None:
        rows = left_rows_needed(problem, problem.index), right_rows_needed(problem, problem.index)
    else:
        rows = _expected(problem)
    return (
        choose_read(left.input.store, rows[0], left.columns),
        choose_read(right.input.store, rows[1], right.columns),
    )


def _expected(problem: JoinProblem) -> tuple[RowSet, RowSet]:
    left, right, layout = problem.left.input, problem.right.input, problem.layout
    left_rows = left.candidates if layout.keeps_left else expected_rows(left, right)
    if layout.only_left:
        return left_rows, RowSet.empty()
    return left_rows, right.candidates if layout.keeps_right else expected_rows(right, left)


def _key_cost(side: Side) -> Cost:
    return choose_read(side.input.store, side.input.candidates, side.input.deciding_columns(side.keys)).cost


def _work_seconds(problem: JoinProblem, context: QueryContext) -> float:
    """Matching (done already, with an index) and putting rows together."""
    left, right = problem.left.input, problem.right.input
    if problem.index is not None:
        right_count = len(right_rows_needed(problem, problem.index))
        return put_together_seconds(problem, problem.index.pair_count, right_count, context)
    matching = (left.candidate_count + right.candidate_count) * MATCH_SECONDS_PER_ROW
    right_count = len(_expected(problem)[1])
    return matching + put_together_seconds(problem, left.candidate_count, right_count, context)
