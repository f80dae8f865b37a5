"""A random replica for every vector, one node calling the next (source 004, Algorithms 5 to 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from esker.cluster.plan import Call, Need, Planner, Situation, Step


class RandomReplica(Planner):
    """The source's plan, kept for comparison: for each range a chain of nodes, sorted so that none is visited twice.

    >>> situation = Situation({"2": [5, 1], "3": [5, 4]}, chance=lambda n: 0)
    >>> [[step.node for step in call] for call in RandomReplica().plan([Need(0, 0, "2"), Need(0, 0, "3")], situation)]
    [[5]]

    The master calls the first node of each range, that one the second, and so on; each ORs what it has to what comes
    back, and the master ANDs the ranges. As printed, Algorithm 7 would go on with its loop after the recursive call
    and ask again; it returns there instead.
    """

    def plan(self, needs: Sequence[Need], situation: Situation) -> list[Call]:
        ranges: dict[tuple[int, int], dict[int, list[Need]]] = {}
        for need, node in zip(needs, self.choose(needs, situation), strict=True):
            ranges.setdefault((need.query, need.part), {}).setdefault(node, []).append(need)
        return [tuple(Step(node, tuple(work)) for node, work in sorted(steps.items())) for steps in ranges.values()]

    def choose(self, needs: Sequence[Need], situation: Situation) -> Iterable[int]:
        for need in needs:
            nodes = situation.candidates(need.unit)
            yield nodes[situation.chance(len(nodes))]
