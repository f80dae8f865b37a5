"""Each vector whole on its nodes, as source 004 has it."""

from __future__ import annotations

from esker.cluster.placement import Part, Placement
from esker.cluster.ring import point


class VectorPlacement(Placement):
    """Place vector k at h(k): a range of vectors is gathered from many nodes, and partial results travel.

    >>> VectorPlacement(row_count=1000).parts(3)
    [Part(unit='3', start=0, stop=1000)]
    """

    whole_queries = False

    def __init__(self, row_count: int) -> None:
        self.row_count = row_count

    def parts(self, vector: int) -> list[Part]:
        return [Part(str(vector), 0, self.row_count)]

    def place(self, unit: str) -> int:
        return point(unit)
