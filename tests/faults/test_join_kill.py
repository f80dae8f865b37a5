"""A join killed (SIGKILL) at any of its steps: run again, it gives the same rows, and nothing is left of either run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STRIDES = 3
# Everything a join does passes by the check for cancellation, so a count of those is a place in its run.
CHILD = """
import os, signal, sys
import numpy as np, pyarrow as pa
from esker.core.cancellation import Cancellation
from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.join import JoinInput, JoinLimits, TapeRows, plan_join
from esker.storage import open_tier

algorithm, uri, kill_at = sys.argv[1], sys.argv[2], int(sys.argv[3])

class Countdown(Cancellation):
    steps = 0
    def check(self):
        Countdown.steps += 1
        if Countdown.steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        super().check()

tier = open_tier(uri)
def side(name, keys):
    table = pa.table({"k": keys, name: np.arange(len(keys)), f"{name}_text": ["x" * 50] * len(keys)})
    batches = table.to_batches(max_chunksize=100)
    if next(iter(tier.list(name)), None) is None:
        return TapeRows.write(tier, name, batches)
    return TapeRows.found(tier, name, table.schema, [batch.num_rows for batch in batches])
left, right = side("l", np.arange(600) % 150), side("r", np.arange(0, 300, 2))
inputs = [JoinInput(rows, None, tuple(rows.schema.names)) for rows in (left, right)]
limits = JoinLimits(2_000, 4_000) if algorithm in ("asj", "ctt_gh") else JoinLimits(4_000, 1 << 20)
if algorithm == "hash":
    limits = None
with QueryContext(budget=MemoryBudget("16MiB"), cancellation=Countdown()) as context:
    plan = plan_join(*inputs, [("k", "k")], "full", algorithm=algorithm, limits=limits, context=context)
    rows = sorted(repr((row["k"], row["l"], row["r"])) for batch in plan.run(context) for row in batch.to_pylist())
print(Countdown.steps, hash(repr(rows)), len(rows))
"""


def run(algorithm: str, uri: str, spill: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ESKER_SPILL_FOLDER": str(spill), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", CHILD, algorithm, uri, str(kill_at)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)


@pytest.mark.parametrize("algorithm", ["asj", "ctt_gh"])
def test_a_join_killed_anywhere_leaves_nothing_and_runs_again(algorithm: str, tmp_path: Path) -> None:
    kill_everywhere(algorithm, tmp_path, STRIDES)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("algorithm", ["asj", "ctt_gh", "cdt_gh", "sort_merge", "hash"])
def test_a_join_killed_at_many_more_steps(algorithm: str, tmp_path: Path) -> None:
    kill_everywhere(algorithm, tmp_path, 60)


def kill_everywhere(algorithm: str, folder: Path, kills: int) -> None:
    from esker.storage import open_tier

    spill = folder / "spill"
    spill.mkdir()
    uri = f"tape:{folder / 'library'}?device=exabyte-220l"
    whole = run(algorithm, uri, spill, 0)
    assert whole.returncode == 0, whole.stderr
    steps, digest, rows = whole.stdout.split()
    assert int(rows) == 600 + 75  # keys 0 to 149 of the left, even ones matched; right rows above have no partner
    left_behind = False
    for kill_at in range(1, int(steps), max(int(steps) // kills, 1)):
        killed = run(algorithm, uri, spill, kill_at)
        assert killed.returncode == -9, killed.stderr
        left_behind |= bool(list(spill.iterdir()))
    assert left_behind, "no kill came while there was something to leave"
    again = run(algorithm, uri, spill, 0)
    assert again.returncode == 0, again.stderr
    assert again.stdout.split()[1:] == [digest, rows]
    assert list(spill.iterdir()) == []
    assert list(open_tier(uri).list("esker-scratch/")) == []
