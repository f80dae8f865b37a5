"""Which partition a key belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from esker.engine.objects import stable_hash


def portable_hash(x: Any) -> int:
    """Hash a key the same in every process: whole numbers to themselves, None to 0.

    Spark's function of this name hashes text as Python does, and so wants PYTHONHASHSEED set; this one does not, and
    gives other numbers for text and tuples.

    >>> portable_hash(None), portable_hash(7), portable_hash("a") == portable_hash("a")
    (0, 7, True)
    """
    return stable_hash(x)


class Partitioner:
    """A function of keys and the number of partitions; equal ones place equal keys alike."""

    def __init__(self, numPartitions: int, partitionFunc: Callable[[Any], int]) -> None:
        self.numPartitions = numPartitions
        self.partitionFunc = partitionFunc

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Partitioner)
            and self.numPartitions == other.numPartitions
            and self.partitionFunc == other.partitionFunc
        )

    def __hash__(self) -> int:
        return hash((self.numPartitions, self.partitionFunc))

    def __call__(self, k: Any) -> int:
        return self.partitionFunc(k) % self.numPartitions

    @property
    def engine_function(self) -> Callable[[Any], int] | None:
        """The function as a Bag takes it: None for its own, which it need not call from Python."""
        return None if self.partitionFunc is portable_hash else self.partitionFunc
