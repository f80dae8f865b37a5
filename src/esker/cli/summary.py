"""What a run cost, in half a line."""

from __future__ import annotations

from esker.core.cost import NO_COST, Cost
from esker.core.explanation import Explanation


def read_cost(explanation: Explanation) -> Cost | None:
    """What the steps of a plan read in all, as counted; None when nothing was counted.

    A step that has inputs repeats what they cost where it fetches for them (a join), so the topmost figure counts.
    """
    if explanation.actual is not None:
        return explanation.actual
    below = [cost for step in explanation.inputs if (cost := read_cost(step)) is not None]
    return sum(below, NO_COST) if below else None


def summary_line(explanation: Explanation) -> str:
    """The end of a note: what was read.

    >>> summary_line(Explanation("find", actual=Cost(bytes=2048, requests=2)))
    '; read 2.0 KiB, 2 requests, 0.0 ms'
    """
    cost = read_cost(explanation)
    return f"; read {cost}" if cost is not None else ""
