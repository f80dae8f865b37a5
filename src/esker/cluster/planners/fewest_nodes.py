"""Ask as few nodes as cover all units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from esker.cluster.plan import Need, Planner, Situation


class FewestNodes(Planner):
    """The node that covers most of what is left, again and again: within ln(units) of the fewest there are.

    >>> situation = Situation({"a": [1, 2], "b": [2, 3], "c": [3, 2]}, chance=lambda n: 0)
    >>> list(FewestNodes().choose([Need(0, -1, unit) for unit in "abc"], situation))
    [2, 2, 2]
    """

    def choose(self, needs: Sequence[Need], situation: Situation) -> Iterable[int]:
        covers: dict[int, set[str]] = {}
        for unit in {need.unit for need in needs}:
            for node in situation.candidates(unit):
                covers.setdefault(node, set()).add(unit)
        chosen: dict[str, int] = {}
        while covers:
            node = min(covers, key=lambda candidate: (-len(covers[candidate]), candidate))
            units = covers.pop(node)
            chosen.update(dict.fromkeys(units, node))
            for other in list(covers):
                covers[other] -= units
                if not covers[other]:
                    del covers[other]
        return (chosen[need.unit] for need in needs)
