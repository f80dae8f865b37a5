"""What is measured: a workload is data, a reference and the cases that do the same work on it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Digest = dict[str, int]
"""What a result is checked by: counts and a checksum that does not depend on the order of rows."""


@dataclass(frozen=True)
class Setting:
    """What a case is given: the folder with the data, how many threads it may use, and how much of the data.

    A `share` of 4 means a quarter of the rows.
    """

    data: Path
    threads: int
    share: int = 1


@dataclass(frozen=True)
class Case:
    """One way to do the work.

    `prepare` names "module:function": it takes a `Setting` and returns the function that is timed. That function must
    return a finished result: what is lazy would be measured as if it cost nothing.

    Packages it `requires` may be installed beside Esker or in the peers' environment (see `interpreter.py`); there it
    can import nothing of Esker. A slow case may work on a `share` of the rows, and stop after `rounds_max` rounds that
    count.
    """

    name: str
    prepare: str
    does: str
    requires: tuple[str, ...] = ()
    # It should keep every thread busy: a run that did not was disturbed, and does not count.
    busy: bool = False
    # Ratios stay those of equal work: a case on a quarter of the rows is compared with a quarter of the reference.
    share: int = 1
    rounds_max: int | None = None


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
    # The case the others are measured against in the last column: how many times as fast it is.
    subject: str = ""
    # Data and what cases write lie in memory (/dev/shm), so that no disk is measured.
    in_memory: bool = False
    # Each run in a process that starts from nothing, one process at a time; without it processes stay, warm.
    fresh: bool = False
    rounds_max: int | None = None
    # A case is stopped when it prepares or runs longer; it runs no more when its rounds took as long together.
    seconds_max: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def with_cases(self, names: Sequence[str]) -> Workload:
        """Keep the reference, the subject and the cases with these names."""
        return replace(
            self, cases=tuple(case for case in self.cases if case.name in (self.reference, self.subject, *names))
        )


def load(target: str) -> Callable[..., Any]:
    """Find the function that "module:function" names.

    >>> load("math:sqrt")(9.0)
    3.0
    """
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
