from __future__ import annotations

import importlib.metadata
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from esker.core.family import Family
from esker.errors import OptionError


def test_a_variant_is_loaded_when_first_asked_for() -> None:
    sys.modules.pop("esker.runtime.executors.inline", None)
    executors: Family[type] = Family("executor", {"inline": "esker.runtime.executors.inline:InlineExecutor"})
    assert "esker.runtime.executors.inline" not in sys.modules
    assert executors["inline"].__name__ == "InlineExecutor"
    assert executors["inline"] is executors["inline"]


def test_an_unknown_variant_names_what_there_is() -> None:
    with pytest.raises(OptionError, match=r"no tier 'punch_cards'; there is: disk, tape"):
        Family("tier", {"disk": "x:y", "tape": "x:z"})["punch_cards"]


def test_a_package_may_add_a_variant_but_not_replace_one(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("mine", "pathlib:PurePath", "esker.tier"),
        EntryPoint("disk", "pathlib:PurePath", "esker.tier"),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == "esker.tier" else [])
    tiers: Family[type] = Family("tier", {"disk": "pathlib:Path"})
    assert list(tiers) == ["disk", "mine"]
    assert tiers["disk"] is Path
