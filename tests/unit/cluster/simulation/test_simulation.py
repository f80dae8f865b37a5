"""Seeds in which all is well, and mistakes that seeds find."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import count, islice

import pytest

from esker.cluster.simulation.planted import PLANTED
from esker.cluster.simulation.run import run

# Where each mistake is found: so many seeds are tried from here on, and a search from 0 finds it too (slow test).
FIRST_SEEDS = {
    "missing_force_at_nodes": 0,
    "missing_force_at_coordinator": 0,
    "missing_epoch_check": 0,
    "missing_dedupe": 0,
    "missing_version_check": 0,
    "old_block_answers": 0,
    "old_block_is_written": 0,
    "no_epoch_for_changes": 0,
    "missing_refusal": 128,
    "rejoin_brings_back": 0,
    "no_epoch_for_drops": 200,
    "dropped_index_is_written": 0,
    "drop_before_the_end_of_commits": 200,
    "half_a_drop": 0,
}


def test_nothing_is_lost_stale_or_half_done() -> None:
    counts: Counter[str] = Counter()
    for seed in range(200):
        outcome = run(seed)
        assert outcome.violation == "", f"seed {seed}"
        counts.update(outcome.counts)
    # All that can go wrong did, and work was done meanwhile.
    for what in [
        "crash",
        "wipe",
        "hang",
        "partition",
        "join",
        "losses",
        "power failure",
        "coordinator crashes",
        "splits",
        "merges",
        "drops",
        "dropped indexes",
        "forgotten names",
    ]:
        assert counts[what] > 0, what
    assert counts["answers"] > 1000 and counts["puts"] > 1000 and counts["transfers"] > 100 and counts["aborts"] > 10
    assert counts["forgotten"] > 10
    # In a fifth of the seeds the index is dropped, and built again under the same name.
    assert counts["drops"] > 30


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_found(name: str) -> None:
    planted = PLANTED[name]
    seeds = islice(count(FIRST_SEEDS[name]), 150)
    outcomes = (run(seed, node_class=planted.node_class, coordinator_class=planted.coordinator_class) for seed in seeds)
    found = next((outcome for outcome in outcomes if outcome.violation), None)
    assert found is not None
    assert run(found.seed).violation == ""


@pytest.mark.parametrize("seed", [708, 9887])
def test_an_index_that_lost_a_block_for_good_comes_to_rest(seed: int) -> None:
    outcome = run(seed)
    assert outcome.violation == ""
    assert outcome.counts["losses"]


@pytest.mark.parametrize("seed", [25334, 37392])
def test_a_late_word_that_a_node_lacks_a_block_takes_no_copy_away_that_it_has_since(seed: int) -> None:
    outcome = run(seed)
    assert outcome.violation == ""
    assert outcome.counts["lacks"]


@pytest.mark.parametrize("seed", [26018, 27438, 28958, 37393])
def test_what_a_node_was_in_doubt_of_does_not_bring_back_a_dropped_index(seed: int) -> None:
    outcome = run(seed)
    assert outcome.violation == ""
    assert outcome.counts["dropped indexes"]


def test_a_failing_seed_replays_with_a_readable_trace() -> None:
    planted = PLANTED["missing_force_at_coordinator"]
    lines: list[str] = []
    first, second = (
        run(0, coordinator_class=planted.coordinator_class, trace=lines.append if traced else None)
        for traced in (False, True)
    )
    assert first == second
    assert lines[-1].endswith(f"  {first.violation}")
    assert any("client 1 -> coordinator [0] Put(sequence=1" in line for line in lines)


def test_a_run_is_the_same_in_every_process() -> None:
    program = "from esker.cluster.simulation.run import run; print([run(seed) for seed in [*range(20), 1166]])"
    assert len({_output(hash_seed, "-c", program) for hash_seed in ("1", "2")}) == 1


def test_the_digest_of_seeds_tells_what_happened_in_them_and_is_the_same_in_every_process() -> None:
    module = ("-m", "esker.cluster.simulation", "--digest")
    first, second = (_output(hash_seed, *module, "3") for hash_seed in ("1", "2"))
    assert first == second
    assert first != _output("1", *module, "1:4")


def _output(hash_seed: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_nothing_goes_wrong_in_thousands_of_seeds() -> None:
    assert [seed for seed in range(100_000, 105_000) if run(seed).violation] == []
