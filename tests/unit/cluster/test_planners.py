"""Every planner meets every need once, on a node that can."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.cluster.plan import WHOLE, Need, Situation
from esker.cluster.planners import PLANNERS


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Need], Situation]:
    units = draw(st.lists(st.text("abcdef", min_size=1, max_size=2), min_size=1, max_size=12, unique=True))
    nodes = st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True)
    copies = {unit: draw(nodes) for unit in units}
    keys = st.tuples(st.integers(0, 2), st.integers(WHOLE, 2), st.sampled_from(units))
    needs = [Need(*key) for key in draw(st.lists(keys, min_size=1, max_size=30, unique=True))]
    load = draw(st.dictionaries(st.integers(0, 6), st.floats(0, 10)))
    avoid = draw(st.frozensets(st.integers(0, 6), max_size=3))
    rolls = draw(st.randoms(use_true_random=False))
    return needs, Situation(copies, rolls.randrange, load, avoid)


@pytest.mark.parametrize("name", PLANNERS)
@given(case=situations())
def test_every_need_is_met_once_by_a_node_that_has_the_unit(name: str, case: tuple[list[Need], Situation]) -> None:
    needs, situation = case
    calls = PLANNERS[name]().plan(needs, situation)
    assert Counter(need for call in calls for step in call for need in step.needs) == Counter(needs)
    for call in calls:
        nodes = [step.node for step in call]
        assert len(set(nodes)) == len(nodes)
        for step in call:
            for need in step.needs:
                others = set(situation.copies[need.unit]) - situation.avoid
                assert step.node in (others or situation.copies[need.unit])


@pytest.mark.parametrize("name", [name for name in PLANNERS if name != "random_replica"])
@given(case=situations())
def test_a_node_is_called_once_for_a_whole_batch(name: str, case: tuple[list[Need], Situation]) -> None:
    calls = PLANNERS[name]().plan(*case)
    assert len({call[0].node for call in calls}) == len(calls)
    assert all(len(call) == 1 for call in calls)


@given(case=situations())
def test_the_sources_plan_is_a_chain_for_each_range(case: tuple[list[Need], Situation]) -> None:
    needs, situation = case
    calls = PLANNERS["random_replica"]().plan(needs, situation)
    assert len(calls) == len({(need.query, need.part) for need in needs})
    for call in calls:
        assert [step.node for step in call] == sorted(step.node for step in call)


@given(case=situations())
def test_fewest_nodes_never_asks_more_than_one_call_per_node(case: tuple[list[Need], Situation]) -> None:
    needs, situation = case
    units = {need.unit for need in needs}
    calls = PLANNERS["fewest_nodes"]().plan(needs, situation)
    assert len(calls) <= len(units)
    if common := set.intersection(*(set(situation.candidates(unit)) for unit in units)):
        assert len(calls) == 1 and calls[0][0].node in common


def test_least_loaded_spreads_what_all_nodes_have() -> None:
    situation = Situation({str(unit): [0, 1, 2] for unit in range(30)}, lambda count: 0)
    needs = [Need(0, WHOLE, str(unit)) for unit in range(30)]
    assert Counter(PLANNERS["least_loaded"]().choose(needs, situation)) == {0: 10, 1: 10, 2: 10}
