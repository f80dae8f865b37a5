"""Processes of a cluster that died are there again; one that dies again and again waits longer and longer."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from esker.bitmap import Bitmap
from esker.cluster.local import SUPERVISOR_NAME, LocalCluster, Started
from esker.cluster.supervisor import CALM_SECONDS, MOST_SECONDS, Supervisor
from esker.core.clock import SYSTEM_CLOCK, VirtualClock
from esker.errors import WorkerLostError

UNITS = Path(__file__).parents[3] / "docs" / "systemd"


class Dying:
    """A local cluster whose coordinator ends as soon as it was started, or never starts."""

    def __init__(self, clock: VirtualClock, *, starts: bool) -> None:
        self.clock = clock
        self.starts = starts
        self.dead = True
        self.at: list[float] = []

    def ended(self) -> list[str]:
        return ["coordinator"] if self.dead else []

    def start_again(self, name: str) -> Started:
        self.at.append(self.clock.seconds())
        if not self.starts:
            raise WorkerLostError(f"{name} did not start: no room")
        return Started(len(self.at), "grpc://127.0.0.1:1")


def command(*words: str) -> dict[str, Any]:
    printed = subprocess.run(
        [sys.executable, "-m", "esker.cli.main", "cluster", *words, "--json"], check=True, capture_output=True
    ).stdout
    found: dict[str, Any] = json.loads(printed)
    return found


def looked(local: Any, clock: VirtualClock, seconds: float) -> list[str]:
    said: list[str] = []
    supervisor = Supervisor(local, said.append, clock)
    end = clock.seconds() + seconds
    while clock.seconds() < end:
        supervisor.look()
        clock.sleep(0.25)
    return said


@pytest.mark.parametrize("starts", [True, False])
def test_waits_double_up_to_a_minute(starts: bool) -> None:
    clock = VirtualClock()
    local = Dying(clock, starts=starts)
    said = looked(local, clock, 600)
    gaps = [later - earlier for earlier, later in zip(local.at, local.at[1:], strict=False)]
    assert gaps[:8] == [0.5, 1, 2, 4, 8, 16, 32, 60] and max(gaps) == MOST_SECONDS
    assert len(said) == len(local.at)
    assert ("was started again: process 1 at" in said[0]) is starts
    assert ("no room" in said[0] and "again in 0.5 s" in said[0]) is not starts


def test_after_a_calm_time_an_end_is_the_first_one() -> None:
    clock = VirtualClock()
    local = Dying(clock, starts=True)
    supervisor = Supervisor(local, lambda word: None, clock)  # type: ignore[arg-type]
    for _ in range(5):
        supervisor.look()
        clock.sleep(MOST_SECONDS)
    clock.sleep(CALM_SECONDS)
    supervisor.look()
    before = len(local.at)
    clock.sleep(0.5)
    supervisor.look()
    assert len(local.at) == before + 1


def test_a_killed_coordinator_and_a_killed_node_are_there_again_and_down_ends_all(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    with LocalCluster(folder) as local:
        started = command("up", str(folder), "--nodes", "2", "--supervise")
        before = local.processes()
        assert started["processes"].keys() == before.keys()
        assert sorted(before) == ["coordinator", "node-0", "node-1", SUPERVISOR_NAME]
        with local.connect() as cluster:
            cluster.put_many({1: Bitmap.from_positions([3, 5], 10)})
            for name in ("coordinator", "node-1"):
                os.kill(before[name].pid, signal.SIGKILL)
            # The same session goes on: the coordinator listens where it did.
            cluster.put_many({2: Bitmap.from_positions([5], 10)})
            assert cluster.query("R:[1,1]&[2,2]").to_numpy().tolist() == [5]
            deadline = SYSTEM_CLOCK.seconds() + 120
            while cluster.coordinator_status()["members"] != [0, 1]:
                assert SYSTEM_CLOCK.seconds() < deadline
                SYSTEM_CLOCK.sleep(0.1)
        now = local.running()
        assert sorted(now) == sorted(before)
        assert now["coordinator"].address == before["coordinator"].address
        assert {name for name in now if now[name].pid == before[name].pid} == {"node-0", SUPERVISOR_NAME}
        said = (folder / "supervisor.log").read_text()
        assert "coordinator had ended, and was started again" in said
        assert command("down", str(folder))["ended"] == sorted(before)
        assert local.running() == {}
        # Nobody starts them again.
        SYSTEM_CLOCK.sleep(1.0)
        assert local.running() == {}


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda path: path.name)
def test_the_units_for_systemd_start_what_the_command_line_has(unit: Path) -> None:
    # No comment begins within a line: a unit's options may hold anything.
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(unit.read_text())
    assert read["Service"]["Restart"] == "always" and read["Unit"]["StartLimitIntervalSec"] == "0"
    program, *words = shlex.split(read["Service"]["ExecStart"])
    folder = words[words.index("--data") + 1]
    assert program.endswith("/esker") and folder == f"/var/lib/{read['Service']['StateDirectory']}"
    helped = subprocess.run(
        [sys.executable, "-m", "esker.cli.main", *words[:2], "--help"], check=True, capture_output=True, text=True
    ).stdout
    assert [word for word in words if word.startswith("--") and word not in helped] == []
