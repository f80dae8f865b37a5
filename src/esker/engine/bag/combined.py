"""Combinations of k elements, cut into ranges of their order: one large Bag of them keeps all workers at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import comb
from typing import TYPE_CHECKING, Any

from esker.engine.bag.broadcast import Broadcast, broadcast
from esker.engine.bag.pipeline import Split, even_spans
from esker.engine.bag.plan import MadeNode, Node
from esker.engine.bag.task import Consumer

if TYPE_CHECKING:
    from esker.engine.bag.run import Run


class CombinationsNode(MadeNode):
    """All ways to take k elements, in the order of `itertools.combinations`."""

    def __init__(self, parent: Node, k: int, partition_count: int, site: str) -> None:
        super().__init__([parent], partition_count, "combinations", site)
        self._k = k

    def make(self, run: Run) -> Sequence[Split]:
        parts = run.results(run.pipelines(self.parents[0]), Consumer(list, self.operator), stage=run.next_stage())
        elements = [element for part in parts for element in part]
        spans = even_spans(comb(len(elements), self._k), self._partitions)
        shared = broadcast(elements)
        return [CombinationsSplit(shared, self._k, begin, end) for begin, end in spans]


@dataclass(frozen=True, eq=False)
class CombinationsSplit(Split):
    """The combinations with numbers from `begin` to `end`."""

    elements: Broadcast[Any]
    k: int
    begin: int
    end: int

    def open(self) -> Iterator[tuple[Any, ...]]:
        return islice(combinations_from(self.elements.value, self.k, self.begin), self.end - self.begin)


def combinations_from(elements: Sequence[Any], k: int, begin: int) -> Iterator[tuple[Any, ...]]:
    """Give what `itertools.combinations` gives, without the first `begin`; getting there takes no time.

    >>> list(combinations_from("abcd", 2, 3))
    [('b', 'c'), ('b', 'd'), ('c', 'd')]
    """
    if k == 0:
        yield from [()][begin:]
        return
    if begin >= comb(len(elements), k):
        return
    chosen = unranked(len(elements), k, begin)
    while True:
        # Those that differ in the last element only, at the speed of C.
        prefix = tuple([elements[place] for place in chosen[:-1]])
        yield from map(prefix.__add__, zip(islice(elements, chosen[-1], None), strict=False))
        if not _advance(chosen, len(elements)):
            return


def unranked(n: int, k: int, rank: int) -> list[int]:
    """The places of combination number `rank` of k out of n.

    >>> unranked(4, 2, 3)
    [1, 2]
    """
    chosen = []
    place = 0
    for left in range(k, 0, -1):
        while (following := comb(n - place - 1, left - 1)) <= rank:
            rank -= following
            place += 1
        chosen.append(place)
        place += 1
    return chosen


def _advance(chosen: list[int], n: int) -> bool:
    """Go to the next choice of all but the last place; False when there is none."""
    k = len(chosen)
    for position in range(k - 2, -1, -1):
        if chosen[position] < n - k + position:
            first = chosen[position] + 1
            chosen[position:] = range(first, first + k - position)
            return True
    return False
