"""A cluster of real processes: what was put is there, answers are those of one process, a node may die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from esker.bitmap import Bitmap, ranges
from esker.cluster.local import LocalCluster
from esker.errors import AuthenticationError, InputError
from esker.runtime.flight import new_token

ROWS = 150_000


def vectors(count: int, seed: int) -> dict[int, Bitmap]:
    dice = np.random.default_rng(seed)
    return {number: Bitmap.from_positions(dice.integers(0, ROWS, 3000), ROWS) for number in range(count)}


def test_three_nodes_answer_as_one_process_does_and_one_may_be_killed(tmp_path: Path) -> None:
    known = vectors(12, seed=1)
    questions = [[(0, 3), (2, 9)], [(0, 11)], [(5, 5)], [(0, 1), (1, 2), (2, 3)]]
    with LocalCluster(tmp_path / "cluster") as local:
        local.up(nodes=3)
        with local.connect() as cluster:
            cluster.put_many(known)
            expected = [ranges(known, one).rows() for one in questions]
            assert cluster.query_many(questions) == expected
            local.signal("node-1", signal.SIGKILL)
            # Others answer at once; a put waits until the dead node is off the ring, and is done then.
            assert cluster.query_many(questions) == expected
            known |= {3: Bitmap.from_positions([1, 70_000], ROWS), 12: Bitmap.from_positions([149_999], ROWS)}
            cluster.put_many({3: known[3], 12: known[12]})
            assert cluster.query("R:[2,12]&[3,3]") == ranges(known, [(2, 12), (3, 3)]).rows()
            assert cluster.count([(12, 12)]) == 1
            status = cluster.status()
            assert status["members"] == [0, 2] and not status["lost"] and not status["undecided"]
            assert all(node["in_doubt"] == [] for node in status["nodes"])
            with pytest.raises(InputError, match="no index 'other'; there is: vectors"):
                cluster.query("R:[0,1]", index="other")
        with pytest.raises(AuthenticationError):
            LocalCluster.connect(local, token=new_token()).status()
        words = [sys.executable, "-m", "esker.cli.main", "cluster", "status", str(local.folder), "--json"]
        printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        assert json.loads(printed)["members"] == [0, 2]
    assert local.running() == {}
