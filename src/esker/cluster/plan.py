"""Who is asked what: the interface of query planners, and what they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

EVERY, WHOLE = -1, -1
"""The query and the part of a need that is for whole queries, all of the batch, answered inside one unit."""


class Need(NamedTuple):
    """A unit that must be read once: for term number `part` of query number `query`, or for all (`EVERY`, `WHOLE`)."""

    query: int
    part: int
    unit: str


class Step(NamedTuple):
    """What one node does within a call."""

    node: int
    needs: tuple[Need, ...]


Call = tuple[Step, ...]
"""The first step's node is called; it calls the second's, and so on, and results come back the same way."""


@dataclass
class Situation:
    """What a planner may go by: where complete copies are, how busy nodes are, and a number in [0, n) by chance."""

    copies: Mapping[str, Sequence[int]]
    chance: Callable[[int], int]
    load: Mapping[int, float] = field(default_factory=dict)
    avoid: frozenset[int] = frozenset()

    def candidates(self, unit: str) -> Sequence[int]:
        """Nodes with a complete copy; those to avoid only when there is no other."""
        copies = self.copies[unit]
        if not self.avoid:
            return copies
        return [node for node in copies if node not in self.avoid] or copies


class Planner(ABC):
    """Turns needs into calls, so that each need is met exactly once.

    One call carries a whole batch of queries; what answers first counts, so a hedged read is the plan of the same
    needs with the slow node in `avoid`.
    """

    def plan(self, needs: Sequence[Need], situation: Situation) -> list[Call]:
        """Make the calls: one to each chosen node, with all that it is to do."""
        chosen: dict[int, list[Need]] = {}
        for need, node in zip(needs, self.choose(needs, situation), strict=True):
            chosen.setdefault(node, []).append(need)
        return [(Step(node, tuple(work)),) for node, work in chosen.items()]

    @abstractmethod
    def choose(self, needs: Sequence[Need], situation: Situation) -> Iterable[int]:
        """Name a node for every need, one of its unit's candidates."""
