"""What an encoding gives, and the operations every encoding gets from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from operator import and_, or_, sub, xor
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from esker.core.row_set import RowSet

# What two vectors can be joined by; the names are those of the kernel.
OPERATIONS: dict[str, Callable[[RowSet, RowSet], RowSet]] = {
    "intersect": and_,
    "unite": or_,
    "differ": xor,
    "subtract": sub,
}


class Vector(ABC):
    """Rows of `row_count` in one encoding: immutable, so threads may share it."""

    row_count: int

    @abstractmethod
    def count(self) -> int:
        """Count the rows set."""

    @abstractmethod
    def runs(self) -> RowSet:
        """Give the rows as runs: the form any two encodings share."""

    @abstractmethod
    def data(self) -> memoryview:
        """Give the encoded bytes; equal sets of rows give equal bytes."""

    def positions(self) -> npt.NDArray[np.uint64]:
        """Give the rows set, ascending."""
        return self.runs().to_numpy()


V = TypeVar("V", bound=Vector)


class Encoding(ABC, Generic[V]):
    """One way to hold a vector in few bytes.

    An encoding has to `encode` runs and `decode` bytes. All else is written here over runs; an encoding overrides
    what it can do faster among vectors of its own.
    """

    # Name and version as stored in files: "wah32.1".
    name: ClassVar[str]
    # Rows of a group: vectors with the same groups can be combined word by word.
    group_bits: ClassVar[int]

    @abstractmethod
    def encode(self, rows: RowSet, row_count: int) -> V:
        """Encode rows, all below `row_count`."""

    @abstractmethod
    def decode(self, data: bytes | memoryview, row_count: int) -> V:
        """Check bytes of unknown origin; raises BitmapCorruptError unless they are what `Vector.data` gives."""

    def from_positions(self, positions: npt.NDArray[np.uint64], row_count: int) -> V:
        """Encode row ids that ascend and are below `row_count`."""
        return self.encode(RowSet.of(positions), row_count)

    def combine(self, operation: str, left: V, right: V) -> V:
        """Join two vectors of one row count by one of OPERATIONS."""
        return self.encode(OPERATIONS[operation](left.runs(), right.runs()), left.row_count)

    def invert(self, vector: V) -> V:
        """Give the rows that are not set."""
        return self.encode(vector.runs().complement(vector.row_count), vector.row_count)

    def union(self, vectors: Sequence[V]) -> V:
        """OR vectors of one row count, at least one."""
        starts, stops = zip(*(vector.runs().runs() for vector in vectors), strict=True)
        return self.encode(RowSet.from_runs(np.concatenate(starts), np.concatenate(stops)), vectors[0].row_count)
