"""Options of a query: what `with_options` takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from esker.core.arrow_memory import settle_allocator
from esker.core.byte_size import parse_bytes
from esker.core.cancellation import Cancellation
from esker.core.context import BATCH_ROWS, BYTES_OF_A_ROW, BYTES_OF_A_THREAD, CACHE_LIMIT_BYTES, QueryContext
from esker.core.defaults import filled
from esker.core.duration import parse_seconds
from esker.core.event_log import query_log
from esker.core.memory import MemoryBudget
from esker.core.options import updated
from esker.core.progress import Progress, progress_of
from esker.core.spill import SpillFolder
from esker.engine.session import current_session
from esker.errors import OptionError


class OptionsGiven(TypedDict, total=False):
    """Options as keywords of a call: a type checker knows their names and what they may be."""

    memory: int | str | None
    threads: int | None
    ordered: bool
    seed: int
    spill_folder: str | Path | None
    spill_limit: int | str | None
    max_cost: Mapping[str, float | str] | None
    deadline: float | str | None
    cache: str | Path | None
    cache_limit: int | str | None
    log: str | Path | None
    progress: Progress | bool | None
    cancellation: Cancellation | None


@dataclass(frozen=True)
class Options:
    """How a query is run.

    >>> import esker
    >>> options = esker.Options(memory="512MiB", threads=2)
    >>> options.updated({"threads": 1}).threads, options.memory
    (1, '512MiB')

    `memory` bounds the anonymous memory of the process over an idle interpreter (bytes, or `512MiB`; default half of
    the machine), `threads` the workers (default all cores), `ordered` keeps rows in the order of the input, `seed`
    is where chance comes from. `spill_folder` and `spill_limit` say where and how much may be spilled. `max_cost`
    refuses a plan that is dearer, for example `{"seconds": 3600, "bytes": "10GB", "money": 5}`. `deadline` is how long
    reading the payload may take (seconds, or `90min`, `12h`): what is missing then is said, and `cache`, a folder that
    keeps what was fetched (up to `cache_limit`, default 10 GiB), lets the next run go on from there. `log` is a file
    for the event log, or a folder that gets one for each query (without it the folder that ESKER_LOG_DIR names).
    `progress=True` shows bars on a terminal (nothing where stderr is none), or it is an object that is told how far
    operators are; `cancellation` stops the query from outside.
    """

    memory: int | str | None = None
    threads: int | None = None
    ordered: bool = True
    seed: int = 0
    spill_folder: str | Path | None = None
    spill_limit: int | str | None = None
    max_cost: Mapping[str, float | str] | None = None
    deadline: float | str | None = None
    cache: str | Path | None = None
    cache_limit: int | str | None = None
    log: str | Path | None = None
    progress: Progress | bool | None = None
    cancellation: Cancellation | None = None

    def __post_init__(self) -> None:
        if self.memory is not None:
            MemoryBudget(self.memory)
        if self.spill_limit is not None:
            parse_bytes(self.spill_limit, "spill_limit")
        if self.deadline is not None:
            parse_seconds(self.deadline, "deadline")
        if self.cache_limit is not None:
            parse_bytes(self.cache_limit, "cache_limit")
        if self.threads is not None and (not is_whole(self.threads) or self.threads < 1):
            raise OptionError(f"threads={self.threads!r}: give a number of at least 1")
        self.cost_limits()
        unknown = set(self.max_cost or {}) - set(COST_LIMITS)
        if unknown:
            raise OptionError(f"max_cost has no {sorted(unknown)[0]!r}; there is: {', '.join(COST_LIMITS)}")

    def updated(self, changes: Mapping[str, Any]) -> Options:
        """These options with some changed; OptionError names one that is not there."""
        return updated(self, changes)

    def context(self, *, runs: bool = True) -> QueryContext:
        """A fresh context for one run, or for planning alone: that is not logged unless `log` says so."""
        return filled(self)._context(runs)

    def _context(self, runs: bool) -> QueryContext:
        budget = MemoryBudget(self.memory)
        if self.memory is not None:
            settle_allocator()
        session = current_session()
        threads = self.threads or len(os.sched_getaffinity(0))
        return QueryContext(
            budget=budget,
            cancellation=self.cancellation.child() if self.cancellation is not None else Cancellation(),
            log=query_log(self.log, runs, self._opening(budget, threads)),
            spill=SpillFolder(
                root=Path(self.spill_folder) if self.spill_folder is not None else None, limit=self.spill_limit
            ),
            progress=progress_of(self.progress),
            threads=threads,
            scan_threads=max(1, min(threads, budget.total_bytes // BYTES_OF_A_THREAD)),
            batch_rows=max(1024, min(BATCH_ROWS, budget.total_bytes // BYTES_OF_A_ROW)),
            ordered=self.ordered,
            seed=self.seed,
            max_cost=self.cost_limits(),
            deadline=parse_seconds(self.deadline, "deadline") if self.deadline is not None else None,
            session=session,
            cache_folder=Path(self.cache).expanduser() if self.cache is not None else None,
            cache_limit_bytes=(
                parse_bytes(self.cache_limit, "cache_limit") if self.cache_limit is not None else CACHE_LIMIT_BYTES
            ),
        )

    def _opening(self, budget: MemoryBudget, threads: int) -> dict[str, Any]:
        return {
            "budget_bytes": budget.total_bytes,
            "threads": threads,
            "ordered": self.ordered,
            "seed": self.seed,
            "deadline": self.deadline,
            "max_cost": dict(self.max_cost or {}),
        }

    def cost_limits(self) -> dict[str, float]:
        """`max_cost` in bytes, seconds, ... as numbers."""
        limits = {}
        for name, value in (self.max_cost or {}).items():
            try:
                limits[name] = float(parse_bytes(value, "max_cost bytes")) if name == "bytes" else float(value)  # type: ignore[arg-type]  # bytes are whole
            except ValueError as error:
                raise OptionError(f"max_cost {name}={value!r} is not a number") from error
        return limits


def is_whole(value: object) -> bool:
    """Whether a caller without a type checker gave a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


COST_LIMITS = ("bytes", "requests", "mounts", "seconds", "money")
DEFAULT_OPTIONS = Options()
