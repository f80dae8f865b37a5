"""Blocks of rows with all their vectors: the placed unit is (index, block)."""

from __future__ import annotations

from esker.cluster.placement import Part, Placement
from esker.cluster.ring import point
from esker.errors import OptionError


class RowBlockPlacement(Placement):
    """Place every vector's rows of a block together: AND, OR and counts stay on the node, only results travel.

    >>> placement = RowBlockPlacement("census", row_count=150_000, block_rows=65_536)
    >>> [part.unit for part in placement.parts(3)] == [part.unit for part in placement.parts(4)]
    True
    >>> placement.parts(3)[-1]
    Part(unit='census/2', start=131072, stop=150000)
    """

    whole_queries = True

    def __init__(self, index: str, row_count: int, block_rows: int = 1 << 16) -> None:
        """Cut `index` into blocks; OptionError when a block would have no rows."""
        if block_rows < 1:
            raise OptionError(f"block_rows={block_rows}: a block has at least one row")
        self._parts = [
            Part(f"{index}/{block}", start, min(start + block_rows, row_count))
            for block, start in enumerate(range(0, max(row_count, 1), block_rows))
        ]

    def parts(self, vector: int) -> list[Part]:
        return list(self._parts)

    def place(self, unit: str) -> int:
        return point(unit)
