"""A plural folder is a family: its table and its files say the same, and its variants stand alone."""

from __future__ import annotations

import importlib
import pkgutil
from fnmatch import fnmatch

import pytest

from tests.unit.house.project import families, pyproject, variants

FAMILIES = sorted(families())


def test_there_are_families() -> None:
    assert "esker.runtime.executors" in FAMILIES


@pytest.mark.parametrize("package", FAMILIES)
def test_the_file_of_a_variant_has_its_registered_name(package: str) -> None:
    named = {name: module.rpartition(".")[2] for name, module in variants(families()[package]).items()}
    assert named == {name: name for name in named}


@pytest.mark.parametrize("package", FAMILIES)
def test_every_registered_variant_loads(package: str) -> None:
    family = families()[package]
    assert [name for name, variant in family.items() if variant is None] == []


@pytest.mark.parametrize("package", [package for package in FAMILIES if package != "esker.formats"])
def test_every_file_of_a_family_folder_is_registered(package: str) -> None:
    # esker.formats is a layer as well: what its variants share lies beside them.
    files = {info.name for info in pkgutil.iter_modules(importlib.import_module(package).__path__)}
    registered = {module.rpartition(".")[2] for module in variants(families()[package]).values()}
    assert files == registered


@pytest.mark.parametrize("package", FAMILIES)
def test_an_import_contract_keeps_the_variants_apart(package: str) -> None:
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    kept_apart = [
        pattern for contract in contracts if contract["type"] == "independence" for pattern in contract["modules"]
    ]
    for module in set(variants(families()[package]).values()):
        assert any(fnmatch(module, pattern) for pattern in kept_apart), f"no independence contract covers {module}"
