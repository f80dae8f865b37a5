"""How a Bag is run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from esker.core.byte_size import parse_bytes
from esker.core.cancellation import Cancellation
from esker.core.context import QueryContext
from esker.core.defaults import filled
from esker.core.event_log import query_log
from esker.core.memory import MemoryBudget
from esker.core.options import updated
from esker.core.progress import Progress, progress_of
from esker.core.spill import SpillFolder
from esker.engine.session import current_session
from esker.errors import OptionError
from esker.runtime.executors import EXECUTORS

# Known without looking for what other packages add.
_RUNTIMES = ("processes", "threads", "inline")


class BagOptionsGiven(TypedDict, total=False):
    """Options as keywords of a call: a type checker knows their names and what they may be."""

    runtime: str | None
    workers: int | None
    retries: int
    memory: int | str | None
    spill_folder: str | Path | None
    spill_limit: int | str | None
    seed: int
    cancellation: Cancellation | None
    task_properties: Mapping[str, str]
    log: str | Path | None
    progress: Progress | bool | None


@dataclass(frozen=True)
class BagOptions:
    """How a Bag is run.

    `runtime` says where functions run: `processes` (the default outside of sessions, `esker.connect`), `threads` (for
    functions that release the interpreter's lock), `inline` (in the caller's thread, for debugging), `ray` (in such a
    session). `workers` is how many at once (default: all
    cores), `retries` how often a partition is tried again whose worker process died. `memory` bounds what wide steps
    hold before they spill (bytes, or `512MiB`; default half of the machine), `spill_folder` and `spill_limit` say where
    and how much. `seed` is where `esker.rng()` begins, `cancellation` stops a run from outside, at once
    where functions run in processes. `task_properties` are words for all tasks of a run, also of those before a
    shuffle: `current_task().properties`. `log` is a file for the event log, or a folder that gets one for each run
    (without it the folder that ESKER_LOG_DIR names, if it is set); `progress=True` shows bars on a
    terminal, or it is an object that is told how far a run is.
    """

    runtime: str | None = None
    workers: int | None = None
    retries: int = 2
    memory: int | str | None = None
    spill_folder: str | Path | None = None
    spill_limit: int | str | None = None
    seed: int = 0
    cancellation: Cancellation | None = None
    task_properties: Mapping[str, str] = field(default_factory=dict)
    log: str | Path | None = None
    progress: Progress | bool | None = None

    def __post_init__(self) -> None:
        if self.runtime is not None and self.runtime not in _RUNTIMES and self.runtime not in EXECUTORS:
            raise OptionError(f"runtime={self.runtime!r}: there is {', '.join(EXECUTORS)}")
        if self.workers is not None:
            require_whole("workers", self.workers, 1)
        require_whole("retries", self.retries, 0)
        require_whole("seed", self.seed, 0)
        if self.memory is not None:
            MemoryBudget(self.memory)
        if self.spill_limit is not None:
            parse_bytes(self.spill_limit, "spill_limit")

    @property
    def worker_count(self) -> int:
        """How many tasks run at once."""
        session = current_session()
        if self.workers is None and session is not None:
            return session.worker_count
        return self.workers or len(os.sched_getaffinity(0))

    def updated(self, changes: Mapping[str, Any]) -> BagOptions:
        """These options with some changed; OptionError names one that is not there."""
        return updated(self, changes)

    def context(self) -> QueryContext:
        """A fresh context for one run."""
        return filled(self)._context()

    def _context(self) -> QueryContext:
        budget = MemoryBudget(self.memory)
        opening = {"budget_bytes": budget.total_bytes, "threads": self.worker_count, "seed": self.seed}
        return QueryContext(
            budget=budget,
            log=query_log(self.log, True, opening),
            progress=progress_of(self.progress),
            cancellation=self.cancellation.child() if self.cancellation is not None else Cancellation(),
            spill=SpillFolder(
                root=Path(self.spill_folder) if self.spill_folder is not None else None, limit=self.spill_limit
            ),
            threads=self.worker_count,
            seed=self.seed,
        )


def require_whole(name: str, value: object, least: int) -> None:
    """Raise OptionError unless `value` is a whole number of at least `least`; callers need not check types."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise OptionError(f"{name}={value!r}: give a whole number of at least {least}")


DEFAULT_BAG_OPTIONS = BagOptions()
