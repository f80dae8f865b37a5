"""`esker doctor` finds what is wrong, and says what to do."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.command import Run

from esker.cli import doctor


def test_a_sound_installation_passes_and_nothing_is_left_behind(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESKER_SPILL_FOLDER", str(tmp_path))
    ended = run("doctor", "--json")
    found = json.loads(ended.out)
    assert ended.code == 0 and found["ok"], ended.out
    states = {check["name"]: check["state"] for check in found["checks"]}
    for name in ("python", "kernel", "packages", "sqlite", "workers", "cores"):
        assert states[name] == "ok"
    assert {"extra s3", "extra ray", "extra duckdb", "limits", "spill folder", "event logs"} <= states.keys()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what takes no time: no worker processes."""
    for name in ("workers", "kernel"):
        monkeypatch.delitem(doctor._CHECKS, name)


@pytest.mark.usefixtures("few")
def test_an_extra_that_is_missing_is_no_fault_and_says_how_to_install_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "ray" else real(package))
    ended = run("doctor")
    assert ended.code == 0
    assert "no ray" in ended.out and "pip install 'esker[ray]'" in ended.out


@pytest.mark.usefixtures("few")
def test_a_package_that_is_missing_and_a_spill_folder_that_cannot_be_written_fail(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "apsw" else real(package))
    monkeypatch.setenv("ESKER_SPILL_FOLDER", str(tmp_path / "nowhere"))
    ended = run("doctor", "--json")
    assert ended.code == 1
    failed = {one["name"]: one for one in json.loads(ended.out)["checks"] if one["state"] == "failed"}
    assert failed.keys() == {"packages", "spill folder"}
    assert "missing: apsw" in failed["packages"]["detail"] and "nowhere" in failed["spill folder"]["detail"]


@pytest.mark.usefixtures("few")
def test_little_disk_memory_that_is_a_disk_and_few_files_are_warned_of(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_file_system_of", lambda path: "tmpfs")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 256))
    ended = run("doctor")
    assert ended.code == 0
    assert "set ESKER_SPILL_FOLDER to a disk" in ended.out and "ulimit -n" in ended.out
    assert "address space is limited" in ended.out


@pytest.mark.usefixtures("few")
def test_a_check_that_breaks_is_a_check_that_failed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(name: str) -> Iterator[doctor.Check]:
        raise OSError("no such thing")

    monkeypatch.setitem(doctor._CHECKS, "limits", breaks)
    ended = run("doctor")
    assert ended.code == 1 and "FAIL  limits" in ended.out and "OSError: no such thing" in ended.out


def test_the_file_system_of_a_path_is_the_innermost_that_holds_it() -> None:
    assert doctor._file_system_of(Path("/proc/self")) == "proc"
