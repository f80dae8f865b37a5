"""Spread the units over the nodes that have least to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from esker.cluster.plan import Need, Planner, Situation


class LeastLoaded(Planner):
    """For each unit the candidate with the least load, this plan's own share counted as it grows.

    >>> situation = Situation({"a": [1, 2], "b": [1, 2]}, chance=lambda n: 0, load={1: 0.5})
    >>> list(LeastLoaded().choose([Need(0, -1, "a"), Need(0, -1, "b")], situation))
    [2, 1]
    """

    def choose(self, needs: Sequence[Need], situation: Situation) -> Iterable[int]:
        load = dict(situation.load)
        for need in needs:
            node = min(situation.candidates(need.unit), key=lambda candidate: (load.get(candidate, 0.0), candidate))
            load[node] = load.get(node, 0.0) + 1.0
            yield node
