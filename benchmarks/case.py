"""What is measured: a workload is data, a reference and the cases that do the same work on it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Digest = dict[str, int]
"""What a result is checked by: counts and a checksum that does not depend on the order of rows."""


@dataclass(frozen=True)
class Setting:
    """What a case is given: the folder with the data, and how many threads it may use."""

    data: Path
    threads: int


@dataclass(frozen=True)
class Case:
    """One way to do the work.

    `prepare` names "module:function": it takes a `Setting` and returns the function that is timed. That function must
    return a finished result: what is lazy would be measured as if it cost nothing.
    """

    name: str
    prepare: str
    does: str
    requires: tuple[str, ...] = ()
    # It should keep every thread busy: a run that did not was disturbed, and does not count.
    busy: bool = False


@dataclass(frozen=True)
class Workload:
    """The same data for every case, and how a result is checked.

    `generate` writes the data once, `digest` ("module:function") turns a case's result into counts and a checksum;
    every case must come to the digest of the `reference`, which is the case ratios are against.
    """

    name: str
    title: str
    generate: Callable[[Path], None]
    cases: tuple[Case, ...]
    reference: str
    digest: str
    memory_bytes: int
    threads: int = 2
    facts: dict[str, Any] = field(default_factory=dict)


def load(target: str) -> Callable[..., Any]:
    """Find the function that "module:function" names.

    >>> load("math:sqrt")(9.0)
    3.0
    """
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
