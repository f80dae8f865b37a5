"""What a user meets first says what it does, and shows it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

import esker
from esker import BitmapIndex, Dataset
from esker.collection.group_by import GroupBy

# `filter` shows it: a tree comes from what other libraries push down.
WITHOUT_EXAMPLE = {"Dataset.filter_by"}
PUBLIC = [name for name in esker.__all__ if callable(getattr(esker, name))]


def members(kind: type) -> Iterator[tuple[str, object]]:
    for name, member in vars(kind).items():
        if not name.startswith("_"):
            yield f"{kind.__name__}.{name}", member.__func__ if isinstance(member, classmethod) else member


METHODS = dict(found for kind in (Dataset, GroupBy) for found in members(kind) if inspect.isfunction(found[1]))
DESCRIBED = dict(
    found for name in PUBLIC if inspect.isclass(kind := getattr(esker, name)) for found in members(kind)
) | dict(members(BitmapIndex))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_a_summary_and_an_example(name: str) -> None:
    text = inspect.getdoc(getattr(esker, name)) or ""
    assert text.splitlines()[0].rstrip().endswith((".", ":", ","))
    assert ">>>" in text


@pytest.mark.parametrize("name", sorted(METHODS.keys() - WITHOUT_EXAMPLE))
def test_a_method_of_a_dataset_has_an_example(name: str) -> None:
    assert ">>>" in (inspect.getdoc(METHODS[name]) or "")


def test_no_exception_is_kept_for_a_method_that_has_an_example() -> None:
    assert {name for name in WITHOUT_EXAMPLE if ">>>" not in (inspect.getdoc(METHODS[name]) or "")} == WITHOUT_EXAMPLE


def test_every_public_method_and_property_says_what_it_does() -> None:
    silent = [
        name
        for name, member in DESCRIBED.items()
        if (inspect.isfunction(member) or isinstance(member, property)) and not inspect.getdoc(member)
    ]
    assert silent == []
