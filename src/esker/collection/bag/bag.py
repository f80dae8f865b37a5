"""Bag: what Spark calls an RDD. A method adds a step to the plan, or runs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from esker.collection.bag.actions import Actions
from esker.collection.bag.element import T, U
from esker.collection.bag.narrow import NarrowSteps
from esker.collection.bag.wide import WideSteps
from esker.collection.bag.write import WriteActions, bag_of_rows

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset


class Bag(NarrowSteps[T], WideSteps[T], Actions[T], WriteActions[T]):
    """Python objects in partitions, and the plan that makes them.

    Make one with `esker.of`, `esker.range`, `esker.read_text`, ...; each step returns a new Bag and runs nothing.
    Iterate it, or ask for `collect`, `count`, `take`, ...; each time the plan runs again (see `persist`). Functions run
    in worker processes, elements of a partition one by one, partitions side by side, results in the order of the input.

    >>> import esker
    >>> esker.of(["to be or not", "to be"]).flat_map(str.split).map(len).collect()
    [2, 2, 2, 3, 2, 2]
    """

    @staticmethod
    def from_partitions(partitions: Sequence[Iterable[U]]) -> Bag[U]:
        """Make a Bag of exactly these partitions; empty ones stay.

        >>> import esker
        >>> esker.Bag.from_partitions([[1, 2], [], [3]]).glom().collect()
        [[1, 2], [], [3]]
        """
        from esker.collection.bag.read import from_partitions

        return from_partitions(partitions)

    @staticmethod
    def from_dataset(dataset: Dataset, partitions: int | None = None) -> Bag[dict[str, Any]]:
        """Make a Bag of the rows of a Dataset, as dicts, in its order; `Dataset.to_bag` does the same.

        >>> import esker
        >>> esker.Bag.from_dataset(esker.from_arrow({"n": [1, 2]})).collect()
        [{'n': 1}, {'n': 2}]

        The Dataset's plan runs first, in threads, into a private file that all workers map.
        """
        return bag_of_rows(dataset, partitions)
