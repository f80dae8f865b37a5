"""What every operator of one query shares: budget, cancellation, event log, spill folder, options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from esker.core.activity import Activity
from esker.core.cancellation import Cancellation
from esker.core.cost import Cost
from esker.core.event_log import EventLog
from esker.core.memory import MemoryBudget
from esker.core.progress import Progress, Silent
from esker.core.spill import SpillFolder
from esker.errors import CancelledError, CostLimitError

# Rows of a batch: big enough that per-batch work vanishes, small enough that a batch fits any budget.
BATCH_ROWS = 65_536
# A scanning thread holds a decoded batch, a page and a block or two of the allocator: with small budgets fewer threads
# scan, and batches are smaller.
BYTES_OF_A_THREAD = 48 << 20
BYTES_OF_A_ROW = 4 << 10
# How much of what was fetched is kept for a run that goes on later, where it is kept.
CACHE_LIMIT_BYTES = 10 << 30


@dataclass
class QueryContext:
    """One query's shared state; a context manager that frees what the query held, whatever happened.

    `threads` is the number of worker threads, `scan_threads` how many of them may read or run Python at once,
    `ordered` whether results keep the order of the input (contracts, 2), `seed` where all chance of the query comes
    from, `batch_rows` the most rows of a batch, `max_cost` the limits (bytes, seconds, ...) above which a plan is
    refused, `deadline` how many seconds a thaw may take. What a thaw fetches is kept in `cache_folder`, if there is
    one, up to `cache_limit_bytes`. `session` says who else works for it (engine/session.py), `shuffles` are those whose
    pages lie with others, by their names.
    """

    budget: MemoryBudget = field(default_factory=MemoryBudget)
    cancellation: Cancellation = field(default_factory=Cancellation)
    log: EventLog = field(default_factory=EventLog)
    spill: SpillFolder = field(default_factory=SpillFolder)
    progress: Progress = field(default_factory=Silent)
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    scan_threads: int = 0
    ordered: bool = True
    seed: int = 0
    batch_rows: int = BATCH_ROWS
    max_cost: Mapping[str, float] = field(default_factory=dict)
    deadline: float | None = None
    cache_folder: Path | None = None
    cache_limit_bytes: int = CACHE_LIMIT_BYTES
    session: Any = None
    shuffles: dict[str, Any] = field(default_factory=dict)
    resources: ExitStack = field(default_factory=ExitStack)
    activity: Activity = field(init=False)

    def __post_init__(self) -> None:
        self.scan_threads = self.scan_threads or self.threads
        # A copy of a context, with another option, is of the same query.
        if isinstance(self.progress, Activity):
            self.activity = self.progress
        else:
            self.activity = self.progress = Activity(self.log, self.budget, self.spill, self.progress)

    def check(self) -> None:
        """Raise CancelledError if the query was cancelled; loops call this once a batch."""
        self.cancellation.check()

    def check_cost(self, cost: Cost, what: str) -> None:
        """Raise CostLimitError if `cost` is above a limit of the user; called before anything is read."""
        for name, limit in self.max_cost.items():
            value = getattr(cost, name)
            if value > limit:
                raise CostLimitError(
                    f"{what} would cost {value:,.10g} {name}, more than max_cost allows ({limit:,.10g});"
                    " nothing was read: raise max_cost or narrow the query"
                )

    def close(self) -> None:
        """Stop everyone, close what operators entered into `resources`, remove spill files, close the log."""
        self.cancellation.cancel("the query ended")
        try:
            self.resources.close()
        finally:
            self.progress.close()
            self.spill.close()
            self.log.close()

    def __enter__(self) -> QueryContext:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._log_end(error)
        else:
            self.activity.flush()
        self.close()

    def _log_end(self, error: BaseException) -> None:
        self.activity.flush()
        if isinstance(error, GeneratorExit):
            self.log.emit("query_stopped", reason="the reader left")
        elif isinstance(error, CancelledError | KeyboardInterrupt):
            self.log.emit("query_stopped", reason=str(error) or "Ctrl-C")
        else:
            self.log.emit("query_failed", error=type(error).__name__, message=str(error))
