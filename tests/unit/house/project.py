"""What the house tests read: pyproject.toml, the source tree, the families."""

from __future__ import annotations

import importlib
import pkgutil
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import esker
from esker.core.family import Family

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "esker"


@cache
def pyproject() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def families() -> dict[str, Family[Any]]:
    """Find every family: the package whose `__init__` holds the table -> the table."""
    owners: dict[int, tuple[str, Family[Any]]] = {}
    for info in pkgutil.walk_packages(esker.__path__, "esker."):
        if not info.ispkg:
            continue
        for value in vars(importlib.import_module(info.name)).values():
            # Parents are walked before children: the innermost package that holds the table is its own.
            if isinstance(value, Family) and all(
                module.startswith(f"{info.name}.") for module in variants(value).values()
            ):
                owners[id(value)] = (info.name, value)
    return dict(owners.values())


def variants(family: Family[Any]) -> dict[str, str]:
    """Registered name -> module of the variant; only of our own table, not of entry points."""
    return {name: target.partition(":")[0] for name, target in family._targets.items()}
