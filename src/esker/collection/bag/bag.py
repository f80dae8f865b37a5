"""Bag: what Spark calls an RDD. A method adds a step to the plan, or runs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from esker.collection.bag.actions import Actions
from esker.collection.bag.narrow import NarrowSteps
from esker.collection.bag.wide import WideSteps


class Bag(NarrowSteps, WideSteps, Actions):
    """Python objects in partitions, and the plan that makes them.

    Make one with `esker.of`, `esker.range`, `esker.read_text`, ...; each step returns a new Bag and runs nothing.
    Iterate it, or ask for `collect`, `count`, `take`, ...; each time the plan runs again (see `persist`). Functions run
    in worker processes, elements of a partition one by one, partitions side by side, results in the order of the input.

    >>> import esker
    >>> esker.of(["to be or not", "to be"]).flat_map(str.split).map(len).collect()
    [2, 2, 2, 3, 2, 2]
    """

    @staticmethod
    def from_partitions(partitions: Sequence[Iterable[Any]]) -> Bag:
        """Make a Bag of exactly these partitions; empty ones stay.

        >>> import esker
        >>> esker.Bag.from_partitions([[1, 2], [], [3]]).glom().collect()
        [[1, 2], [], [3]]
        """
        from esker.collection.bag.read import from_partitions

        return from_partitions(partitions)
