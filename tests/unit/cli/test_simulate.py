"""`esker simulate` prints what the simulations say, and refuses points that no machine has."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.command import Run, one_line

from esker.bench.paper.setting import Setting
from esker.bench.paper.simulation import simulate
from esker.storage.devices import DEVICES


def test_join_prints_the_closed_form_beside_the_simulation(run: Run) -> None:
    ended = run("simulate", "join", "--algorithm", "asj", "--r-mb", 10_000, "--json")
    assert (ended.code, ended.err) == (0, "")
    content = json.loads(ended.out)
    assert set(content) == {"algorithm", "device", "setting", "closed_form", "simulated", "difference"}
    assert content["closed_form"]["seconds"] == 43810.0
    assert content["closed_form"]["counts"] == content["simulated"]["counts"]
    assert content["simulated"]["seconds"] == pytest.approx(
        simulate("asj", Setting.of_r(10), DEVICES["exabyte-220l"]).seconds, abs=1e-3
    )
    assert content["simulated"]["disk_peak_bytes"] <= 650e6 + 64
    assert {"separate", "join", "materialise"} == set(content["simulated"]["busy"])
    assert content["simulated"]["busy"]["separate"]["drive 0"]["transfer"] == pytest.approx(30_000 / 3.5, abs=1e-2)


def test_join_shows_phases_devices_and_counts(run: Run) -> None:
    ended = run("simulate", "join", "--algorithm", "ctt_gh", "--r-mb", 1000, "--s-mb", 1500)
    assert ended.code == 0
    for word in ("closed form", "simulated", "drive 1", "arm", "rewind", "scans 1", "mounts"):
        assert word in ended.out


def test_events_are_of_known_kinds_in_order(run: Run) -> None:
    content = json.loads(run("simulate", "join", "--r-mb", 500, "--events", "--json").out)
    events = content["simulated"]["events"]
    assert {event["kind"] for event in events} <= {"mount", "locate", "transfer", "rewind", "unmount"}
    drives: dict[str, float] = {}
    for event in events:
        assert event["start"] >= drives.get(event["device"], 0.0) - 1e-6
        drives[event["device"]] = event["stop"]


def test_library_compares_policies(run: Run) -> None:
    arguments = ("simulate", "library", "--queries", 60, "--concurrent", 30, "--drives", 4, "--arms", 1)
    content = json.loads(run(*arguments, "--json").out)
    assert set(content["policies"]) == {"fifo", "mounted_first", "sweep", "shortest_locate", "fullest"}
    assert content["library"]["capacity_bytes"] == 6881 * 400 * 10**9
    shown = run(*arguments, "--policy", "sweep")
    assert shown.code == 0 and "sweep" in shown.out and "fifo" not in shown.out


def test_today_has_the_library_and_the_archive(run: Run) -> None:
    content = json.loads(run("simulate", "today", "--json").out)
    assert set(content) == {"library", "archive"}
    assert len(content["library"]["rows"]) == 5 and len(content["archive"]["rows"]) == 15
    assert "US dollars" in content["archive"]["title"]
    shown = run("simulate", "today").out
    assert "LTO-9" in shown and "Deep Archive" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("join", "--algorithm", "quick"), "no algorithm 'quick'"),
        (("join", "--r-mb", "0"), "r mb is 0"),
        (("join", "--c", "0"), "c is 0"),
        (("join", "--f", "2"), "f is 2"),
        (("join", "--disk-mb", "-5"), "disk mb is -5"),
        (("join", "--device", "nvme"), "not a tape library"),
        (("join", "--device", "lto-9"), "no device 'lto-9'"),
        (("join", "--tape-rate", "nan"), "the tape's rate is nan"),
        (("join", "--r-mb", "big"), "invalid value for '--r-mb'"),
        (("library", "--policy", "lifo"), "no policy 'lifo'"),
        (("library", "--queries", "0"), "queries is 0"),
        (("library", "--extent", "lots"), "extent='lots'"),
        (("library", "--skew", "-1"), "skew is -1"),
    ],
)
def test_bad_input_is_refused_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    ended = run("simulate", *arguments)
    assert ended.code == 2 and message in ended.err and one_line(ended.err)
