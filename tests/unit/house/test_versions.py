"""One version, one set of requirements: every place that repeats them agrees."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import esker
from tests.unit.house.project import ROOT, pyproject


def pins(file: str = "dev.txt") -> dict[str, str]:
    lines = (ROOT / "requirements" / file).read_text(encoding="utf-8").splitlines()
    pinned = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(Requirement(name).name): exact for name, exact in pinned}


def wanted_by_peers() -> list[Requirement]:
    return [Requirement(line) for line in pyproject()["dependency-groups"]["bench-peers"]]


def wanted() -> list[Requirement]:
    """What pyproject.toml asks for anywhere, but for the extras that only name other extras."""
    project = pyproject()["project"]
    lines = [
        *project["dependencies"],
        *pyproject()["build-system"]["requires"],
        *pyproject()["dependency-groups"]["dev"],
    ]
    for extra in project["optional-dependencies"].values():
        lines += extra
    return [requirement for requirement in map(Requirement, lines) if requirement.name != "esker"]


def test_the_package_says_the_version_of_pyproject() -> None:
    assert esker.__version__ == version("esker") == pyproject()["project"]["version"]


def test_the_changelog_has_an_entry_for_the_version() -> None:
    entries = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert entries[0] == pyproject()["project"]["version"]


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_what_pyproject_asks_for_is_pinned_within_its_range(requirement: Requirement) -> None:
    exact = pins().get(canonicalize_name(requirement.name))
    assert exact is not None, f"{requirement.name} has no pin in requirements/dev.txt"
    assert requirement.specifier.contains(exact), f"{requirement} does not allow the pinned {exact}"


def test_nothing_is_pinned_that_pyproject_does_not_ask_for() -> None:
    assert set(pins()) - {canonicalize_name(requirement.name) for requirement in wanted()} == set()


@pytest.mark.parametrize("requirement", wanted_by_peers(), ids=str)
def test_a_peer_of_the_benchmarks_is_pinned_within_its_range(requirement: Requirement) -> None:
    exact = pins("bench.txt").get(canonicalize_name(requirement.name))
    assert exact is not None, f"{requirement.name} has no pin in requirements/bench.txt"
    assert requirement.specifier.contains(exact), f"{requirement} does not allow the pinned {exact}"


def test_no_peer_is_pinned_that_pyproject_does_not_ask_for() -> None:
    assert set(pins("bench.txt")) == {canonicalize_name(requirement.name) for requirement in wanted_by_peers()}
