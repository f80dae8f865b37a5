"""Placements cut vectors without gaps, and say where the parts lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.cluster.placement import Placement
from esker.cluster.placements import PLACEMENTS
from esker.cluster.placements.dynamic import DynamicPlacement, Merge, Split
from esker.cluster.placements.row_block import RowBlockPlacement
from esker.cluster.placements.vector import VectorPlacement
from esker.cluster.ring import Ring, point
from esker.errors import OptionError


def make(name: str, rows: int, block_rows: int) -> Placement:
    if name == "vector":
        return VectorPlacement(rows)
    return {"row_block": RowBlockPlacement, "dynamic": DynamicPlacement}[name]("census", rows, block_rows)


@pytest.mark.parametrize("name", PLACEMENTS)
@given(rows=st.integers(1, 5000), block_rows=st.integers(1, 900), vector=st.integers(0, 50))
def test_every_row_is_in_one_part(name: str, rows: int, block_rows: int, vector: int) -> None:
    parts = make(name, rows, block_rows).parts(vector)
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == rows
    assert len({part.unit for part in parts}) == len(parts)


@pytest.mark.parametrize("name", PLACEMENTS)
def test_a_unit_with_all_vectors_is_the_same_for_each(name: str) -> None:
    placement = make(name, 1000, 300)
    assert placement.whole_queries == (placement.parts(1) == placement.parts(2))


def test_vectors_lie_where_the_source_puts_them() -> None:
    ring = Ring(range(6))
    assert VectorPlacement(10).holders("4", ring, 2) == ring.holders(point(4), 2)


LOADS = st.lists(st.floats(0, 100), min_size=1, max_size=40)


@given(st.integers(1, 400), st.integers(1, 100), LOADS, st.floats(0, 50), st.integers(1, 5))
def test_rebalancing_moves_only_what_its_steps_say(
    rows: int, block_rows: int, loads: list[float], merge_load: float, times: int
) -> None:
    placement = DynamicPlacement("census", rows, block_rows)
    for _ in range(times):
        before = {part.unit: part for part in placement.parts(0)}
        load = {unit: loads[number % len(loads)] for number, unit in enumerate(before)}
        changed, steps = placement.rebalanced(load, 50.0, merge_load)
        after = {part.unit: part for part in changed.parts(0)}
        assert [part.start for part in after.values()] == [0, *(part.stop for part in list(after.values())[:-1])]
        made = {unit for step in steps for unit in (step.units if isinstance(step, Split) else [step.unit])}
        assert after.keys() - before.keys() == made
        for step in steps:
            if isinstance(step, Split):
                assert load[step.unit] > 50.0
                assert changed.place(step.units[0]) == placement.place(step.unit)
            else:
                assert isinstance(step, Merge) and sum(load[unit] for unit in step.units) < merge_load
                assert changed.place(step.unit) == placement.place(step.units[0])
        placement = changed


@given(st.integers(1, 40), st.integers(1, 8))
def test_blocks_are_cut_at_multiples(eights: int, times: int) -> None:
    placement = DynamicPlacement("census", 8 * eights, 8 * eights)
    for _ in range(times):
        placement, _ = placement.rebalanced({part.unit: 2.0 for part in placement.parts(0)}, 1.0, align_rows=8)
        assert all(part.start % 8 == 0 for part in placement.parts(0))
    assert placement.rebalanced({}, 1.0, align_rows=8)[1] == []


@given(st.integers(1, 300), st.integers(1, 50), st.data())
def test_a_row_is_found_in_its_unit(rows: int, block_rows: int, data: st.DataObject) -> None:
    placement = DynamicPlacement("census", rows, block_rows)
    row = data.draw(st.integers(0, rows - 1))
    assert next(part.unit for part in placement.parts(0) if part.start <= row < part.stop) == placement.unit_of(row)


def test_errors_name_the_option() -> None:
    with pytest.raises(OptionError, match="block_rows=0"):
        RowBlockPlacement("census", 10, 0)
    with pytest.raises(OptionError, match="merge_load=9"):
        DynamicPlacement("census", 10).rebalanced({}, 5.0, 9.0)
