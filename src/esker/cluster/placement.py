"""Which unit of an index lies where: the interface of placements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from esker.cluster.ring import Ring


class Part(NamedTuple):
    """Rows [start, stop) of a vector, and the unit that they belong to."""

    unit: str
    start: int
    stop: int


class Placement(ABC):
    """Cuts vectors into parts; the parts of a unit lie together, on as many nodes as there are copies.

    A unit is what is placed, moved and versioned as one. `whole_queries` says that a unit has every vector of its
    rows, so that a query is answered inside it and only results travel.
    """

    whole_queries: bool

    @abstractmethod
    def parts(self, vector: int) -> list[Part]:
        """Cut a vector; every row of it is in exactly one part, in order."""

    @abstractmethod
    def place(self, unit: str) -> int:
        """Give the point of a unit on the ring."""

    def holders(self, unit: str, ring: Ring, copies: int) -> tuple[int, ...]:
        """Name the nodes that should have a unit, primary first."""
        return ring.holders(self.place(unit), copies)
