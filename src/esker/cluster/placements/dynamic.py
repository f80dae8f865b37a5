"""Blocks of rows that split where they are asked much and merge where they are not (source 004, Future Work)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import NamedTuple

from esker.cluster.placement import Part, Placement
from esker.cluster.ring import point
from esker.errors import OptionError


class Split(NamedTuple):
    """A unit becomes two; the second half goes to `place`, the first stays."""

    unit: str
    units: tuple[str, str]
    place: int


class Merge(NamedTuple):
    """Two neighbours become one where the first lies."""

    units: tuple[str, str]
    unit: str


class DynamicPlacement(Placement):
    """Partition rows by a table of bounds that `rebalanced` changes with the load; never changed in place.

    >>> placement = DynamicPlacement("census", row_count=1000, block_rows=500)
    >>> hot, steps = placement.rebalanced({"census[0:500]": 90.0, "census[500:1000]": 10.0}, split_load=50.0)
    >>> [(part.start, part.stop) for part in hot.parts(0)]
    [(0, 250), (250, 500), (500, 1000)]
    >>> hot.place("census[0:250]") == placement.place("census[0:500]")
    True

    A split leaves the first half where it was and sends the second to a point of its own; so a split moves half a
    unit, a merge one, and nothing else.
    """

    whole_queries = True

    def __init__(self, index: str, row_count: int, block_rows: int = 1 << 16) -> None:
        """Begin with even blocks; OptionError when a block would have no rows."""
        if block_rows < 1:
            raise OptionError(f"block_rows={block_rows}: a block has at least one row")
        self.index = index
        self.row_count = row_count
        starts = list(range(0, max(row_count, 1), block_rows))
        stops = [*starts[1:], row_count]
        self._set([(start, stop, point(self._name(start, stop))) for start, stop in zip(starts, stops, strict=True)])

    def parts(self, vector: int) -> list[Part]:
        return [Part(self._name(start, stop), start, stop) for start, stop, _ in self._blocks]

    def place(self, unit: str) -> int:
        return self._places[unit]

    def unit_of(self, row: int) -> str:
        """Name the unit that has a row: one bisection in the table of bounds."""
        start, stop, _ = self._blocks[bisect_right(self._starts, row) - 1]
        return self._name(start, stop)

    def rebalanced(
        self, load: Mapping[str, float], split_load: float, merge_load: float = 0.0, rows_min: int = 1
    ) -> tuple[DynamicPlacement, list[Split | Merge]]:
        """Split each unit above `split_load` in two, merge neighbours that together stay below `merge_load`.

        `load` is anything additive (rows read, bytes, seconds); a unit that is not named has none. A half has at
        least `rows_min` rows. OptionError when `merge_load` would undo splits at once.
        """
        if merge_load > split_load:
            raise OptionError(f"merge_load={merge_load} is above split_load={split_load}: each would undo the other")
        steps: list[Split | Merge] = []
        blocks: list[tuple[int, int, int]] = []
        loads: list[float] = []
        for start, stop, place in self._blocks:
            burden = load.get(self._name(start, stop), 0.0)
            if burden > split_load and stop - start >= 2 * rows_min:
                middle = (start + stop) // 2
                halves = (self._name(start, middle), self._name(middle, stop))
                steps.append(Split(self._name(start, stop), halves, point(halves[1])))
                blocks += [(start, middle, place), (middle, stop, point(halves[1]))]
                loads += [float("inf"), float("inf")]  # what was just split is not merged in the same step
            elif blocks and loads[-1] + burden < merge_load:
                first, middle, home = blocks.pop()
                steps.append(
                    Merge((self._name(first, middle), self._name(start, stop)), self._name(first, stop))
                )  # fmt: skip
                blocks.append((first, stop, home))
                loads[-1] = float("inf")
            else:
                blocks.append((start, stop, place))
                loads.append(burden)
        changed = DynamicPlacement.__new__(DynamicPlacement)
        changed.index, changed.row_count = self.index, self.row_count
        changed._set(blocks)
        return changed, steps

    def _set(self, blocks: list[tuple[int, int, int]]) -> None:
        self._blocks = blocks
        self._starts = [start for start, _, _ in blocks]
        self._places = {self._name(start, stop): place for start, stop, place in blocks}

    def _name(self, start: int, stop: int) -> str:
        return f"{self.index}[{start}:{stop}]"
