"""A library under many queries: every request is served once, whatever the policy, and policies differ as they say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.errors import OptionError
from esker.storage.devices import DEVICES
from esker.storage.tape.crowd import POLICIES, Workload, make_requests, serve

BIG = DEVICES["ibm-3584"]
SMALL = replace(BIG, drives=3, slots=20)


@settings(max_examples=30)
@given(
    policy=st.sampled_from(sorted(POLICIES)),
    queries=st.integers(1, 40),
    concurrent=st.integers(1, 60),
    extents=st.integers(1, 5),
    skew=st.floats(0, 3),
    seed=st.integers(0, 1000),
    drives=st.integers(1, 5),
)
def test_every_byte_that_was_asked_for_passes_once(
    policy: str, queries: int, concurrent: int, extents: int, skew: float, seed: int, drives: int
) -> None:
    workload = Workload(queries, concurrent, extents, 10_000_000, skew, seed)
    device = replace(SMALL, drives=drives)
    found = serve(workload, device, policy)
    asked = [request for requests in make_requests(workload, device) for request in requests]
    assert found.requests == len(asked) == queries * extents
    assert found.bytes == sum(request.stop - request.start for request in asked)
    assert len({request.cartridge for request in asked}) <= found.mounts <= len(asked)
    assert all(0 < response <= found.seconds * (1 + 1e-9) for response in found.responses)
    assert 0 < found.fairness <= 1 + 1e-9
    assert sum(found.drive_shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(3))
def test_batching_mounts_less_than_serving_in_turn(seed: int) -> None:
    workload = Workload(queries=200, concurrent=100, seed=seed)
    mounts = {policy: serve(workload, SMALL, policy).mounts for policy in POLICIES}
    assert all(mounts[policy] < mounts["fifo"] / 2 for policy in POLICIES if policy != "fifo")


def test_a_sweep_locates_less_than_the_order_of_arrival() -> None:
    linear = replace(SMALL, locate_seconds=0.0, locate_bytes_per_second=100e6)
    workload = Workload(queries=200, concurrent=100)
    shares = {policy: serve(workload, linear, policy) for policy in ("mounted_first", "sweep", "shortest_locate")}
    locating = {policy: found.drive_shares["locate"] * found.seconds for policy, found in shares.items()}
    assert locating["sweep"] < locating["mounted_first"] / 1.5
    assert locating["shortest_locate"] < locating["mounted_first"] / 1.5


def test_the_same_seed_gives_the_same_service_and_another_another() -> None:
    workload = Workload(queries=50, concurrent=20)
    assert serve(workload, SMALL, "sweep") == serve(workload, SMALL, "sweep")
    other = serve(replace(workload, seed=1), SMALL, "sweep")
    assert other.responses != serve(workload, SMALL, "sweep").responses


def test_with_one_query_at_a_time_the_policy_makes_no_difference_to_a_single_extent() -> None:
    workload = Workload(queries=20, concurrent=1, extents=1)
    assert len({serve(workload, SMALL, policy).seconds for policy in POLICIES}) == 1


@pytest.mark.parametrize(
    "words", [{"queries": 0}, {"concurrent": 0}, {"extents": -1}, {"extent_bytes": 0}, {"skew": -0.1}, {"skew": 11.0}]
)
def test_a_workload_of_nothing_is_refused(words: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        Workload(**words)  # type: ignore[arg-type]


def test_an_unknown_policy_is_refused_with_what_there_is() -> None:
    with pytest.raises(OptionError, match="no policy 'lifo'; there is: fifo"):
        serve(Workload(queries=1), SMALL, "lifo")
