"""The scripts behind make say in one line what is wrong, and are silent when nothing is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.house.project import ROOT

SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "scripts" / script), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_executable_and_bash_reads_it(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False).stderr == ""


def test_an_interpreter_that_is_not_there_is_named(tmp_path: Path) -> None:
    made = run("make_venv.sh", str(tmp_path / "venv"), PYTHON="no-such-python")
    assert (made.returncode, made.stderr) == (1, "error: PYTHON=no-such-python is not there\n")


def test_an_interpreter_that_is_too_old_is_refused_with_its_version(tmp_path: Path) -> None:
    old = program(tmp_path / "python", '[ "$1" = --version ] && echo "Python 3.9.2"; exit 1')
    made = run("make_venv.sh", str(tmp_path / "venv"), PYTHON=str(old))
    assert made.stderr == f"error: PYTHON={old} is Python 3.9.2; Esker needs Python 3.11 or newer\n"
    assert not (tmp_path / "venv").exists()


def test_every_way_to_an_environment_is_tried_and_shown_when_none_works(tmp_path: Path) -> None:
    broken = program(tmp_path / "python", '[ "$1" = -c ] && exit 0; echo "called with $*"; exit 1')
    made = run("make_venv.sh", str(tmp_path / "venv"), PYTHON=str(broken))
    ways = [line for line in made.stderr.splitlines() if line.startswith("---")]
    assert ways == ["--- with_ensurepip", "--- with_own_pip", "--- with_virtualenv"]
    assert "called with -m venv --clear --without-pip" in made.stderr
    assert made.stderr.splitlines()[-1].strip() == "Debian, Ubuntu: apt install python3-venv (or python3-pip)"


def test_a_missing_compiler_is_named() -> None:
    checked = run("check_toolchain.sh", sys.executable, "no-such-compiler")
    assert checked.returncode == 1
    assert checked.stderr.startswith("error: no C++ compiler (no-such-compiler is missing)\n")


def test_a_compiler_without_cpp20_is_refused_with_its_version(tmp_path: Path) -> None:
    old = program(tmp_path / "g++", '[ "$1" = --version ] && echo "g++ 9.4.0" && exit 0; exit 1')
    assert run("check_toolchain.sh", sys.executable, str(old)).stderr.startswith(
        "error: g++ 9.4.0 does not compile C++20\n"
    )


def test_this_machine_has_what_the_build_needs() -> None:
    assert run("check_toolchain.sh", sys.executable, os.environ.get("CXX", "g++")).stderr == ""


def test_what_succeeds_is_one_line_and_what_fails_is_shown_whole() -> None:
    noisy = "echo to stdout; echo to stderr >&2; exit "
    fine, failed = (run("quietly.sh", "trying", "sh", "-c", noisy + code) for code in "04")
    assert (fine.returncode, fine.stdout, fine.stderr) == (0, "trying ...\n", "")
    assert failed.returncode == 4
    assert failed.stderr.splitlines()[:2] == ["to stdout", "to stderr"]


@pytest.mark.parametrize(("version", "found"), [("3.19.8", False), ("3.20.0", True), ("4.1.2", True)])
def test_a_cmake_that_is_too_old_does_not_count(version: str, found: bool, tmp_path: Path) -> None:
    cmake = program(tmp_path / "bin" / "cmake", f"echo cmake version {version}")
    assert run("find_cmake.sh", PATH=f"{cmake.parent}:/usr/bin:/bin").stdout == (f"{cmake}\n" if found else "")


def test_a_cmake_of_a_virtual_environment_does_not_count(tmp_path: Path) -> None:
    cmake = program(tmp_path / "bin" / "cmake", "echo cmake version 4.1.2")
    (tmp_path / "pyvenv.cfg").touch()
    assert run("find_cmake.sh", PATH=f"{cmake.parent}:/usr/bin:/bin").stdout == ""
