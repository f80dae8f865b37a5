"""Which side of a join is held and which passes by."""

from __future__ import annotations

from esker.join.account import tape_of
from esker.join.problem import JoinProblem, Side
from esker.join.work import held_bytes
from esker.storage import Tier


def build_on_smaller(problem: JoinProblem) -> JoinProblem:
    """Give the join, flipped where needed, so that its right side is the smaller one."""
    return problem.flipped() if needed_bytes(problem.left) < needed_bytes(problem.right) else problem


def needed_bytes(side: Side) -> int:
    """How much memory what a join reads of a side may take, row ids included."""
    return held_bytes(side.input, side.all_columns) + 8 * side.input.candidate_count


def scratch_tape(problem: JoinProblem) -> Tier | None:
    """The tape that takes partitions: the right side's, else the left's; None when neither lies on one."""
    return tape_of(problem.right.input.store) or tape_of(problem.left.input.store)
