"""Blocks of rows that split where they are asked much and merge where they are not (source 004, Future Work)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from esker.cluster.blocks import Block, block_of
from esker.cluster.placement import Part, Placement
from esker.errors import OptionError


class Split(NamedTuple):
    """A unit becomes two: the first half stays, the second goes to its own place."""

    unit: str
    units: tuple[str, str]


class Merge(NamedTuple):
    """Two neighbours become one where the first lies."""

    units: tuple[str, str]
    unit: str


class DynamicPlacement(Placement):
    """Partition rows by a table of bounds that `rebalanced` changes with the load; never changed in place.

    >>> placement = DynamicPlacement("census", row_count=1000, block_rows=500)
    >>> hot, steps = placement.rebalanced({"census/0:500": 90.0, "census/500:1000": 10.0}, split_load=50.0)
    >>> [(part.start, part.stop) for part in hot.parts(0)]
    [(0, 250), (250, 500), (500, 1000)]
    >>> hot.place("census/0:250") == placement.place("census/0:500")
    True

    A block's place goes by its first row. So a split leaves the first half where it was and moves half a unit, a merge
    moves one, and nothing else moves. In a running cluster the table is the coordinator's, and its clients ask for it:
    see esker.cluster.reshapes.
    """

    whole_queries = True

    def __init__(self, index: str, row_count: int, block_rows: int = 1 << 16) -> None:
        """Begin with even blocks; OptionError when a block would have no rows."""
        if block_rows < 1:
            raise OptionError(f"block_rows={block_rows}: a block has at least one row")
        starts = list(range(0, max(row_count, 1), block_rows))
        stops = [*starts[1:], row_count]
        self._set(Block(index, start, stop) for start, stop in zip(starts, stops, strict=True))

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> DynamicPlacement:
        """Give the placement of blocks that there are, in the order of rows."""
        made = cls.__new__(cls)
        made._set(blocks)
        return made

    def parts(self, vector: int) -> list[Part]:
        return [Part(block.name, block.start, block.stop) for block in self.blocks]

    def place(self, unit: str) -> int:
        block = block_of(unit)
        assert block is not None, f"{unit} is no block"
        return block.place

    def unit_of(self, row: int) -> str:
        """Name the unit that has a row: one bisection in the table of bounds."""
        return self.blocks[bisect_right(self.blocks, row, key=lambda block: block.start) - 1].name

    def rebalanced(
        self, load: Mapping[str, float], split_load: float, merge_load: float = 0.0, align_rows: int = 1
    ) -> tuple[DynamicPlacement, list[Split | Merge]]:
        """Split each unit above `split_load` in two, merge neighbours that together stay below `merge_load`.

        `load` is anything of which two units have no more than the sum (rows read, bytes, seconds); a unit that is not
        named has none. Blocks are cut at multiples of `align_rows`. OptionError when `merge_load` would undo splits at
        once.
        """
        if merge_load > split_load:
            raise OptionError(f"merge_load={merge_load} is above split_load={split_load}: each would undo the other")
        steps: list[Split | Merge] = []
        blocks: list[Block] = []
        loads: list[float] = []
        for block in self.blocks:
            burden = load.get(block.name, 0.0)
            middle = (block.start + block.stop) // (2 * align_rows) * align_rows
            if burden > split_load and block.start < middle < block.stop:
                halves = block._replace(stop=middle), block._replace(start=middle)
                steps.append(Split(block.name, (halves[0].name, halves[1].name)))
                blocks += halves
                loads += [float("inf"), float("inf")]  # what was just split is not merged in the same step
            elif blocks and loads[-1] + burden < merge_load:
                whole = blocks[-1]._replace(stop=block.stop)
                steps.append(Merge((blocks[-1].name, block.name), whole.name))
                blocks[-1], loads[-1] = whole, float("inf")
            else:
                blocks.append(block)
                loads.append(burden)
        return DynamicPlacement.of(blocks), steps

    def _set(self, blocks: Iterable[Block]) -> None:
        self.blocks = tuple(blocks)
