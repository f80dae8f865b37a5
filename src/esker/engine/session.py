"""Sessions: where the work of a program is done, from `esker.connect` until it is closed."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from esker.errors import OptionError
from esker.runtime.executor import Executor
from esker.runtime.executors import EXECUTORS

if TYPE_CHECKING:
    from esker.core.context import QueryContext
    from esker.engine.page_nodes import PageNodes


class Session:
    """Work on this machine, with a chosen executor; a context manager.

    `runtime` names the executor of functions on partitions (None: each collection's own default), `worker_count` how
    many tasks run at once.
    """

    #: Where the work is done, as `connect` was told.
    where = "local"

    def __init__(self, runtime: str | None = None, workers: int | None = None) -> None:
        if workers is not None and (not _is_whole(workers) or workers < 1):
            raise OptionError(f"workers={workers!r}: give a whole number of at least 1")
        self.runtime = runtime
        self._workers = workers
        self._closed = False

    @property
    def worker_count(self) -> int:
        """How many tasks run at once."""
        return self._workers or len(os.sched_getaffinity(0))

    @property
    def apart(self) -> bool:
        """Whether also the stages of plans go to other processes."""
        return False

    @property
    def spread(self) -> bool:
        """Whether tasks may run at machines that share no folder."""
        return False

    @property
    def tasks_of_a_node(self) -> int:
        """How many tasks share the memory of one machine."""
        return self.worker_count

    @property
    def closed(self) -> bool:
        """Whether the session is over."""
        return self._closed

    def executor(self, workers: int | None = None) -> Executor:
        """Make the executor of one run."""
        return EXECUTORS[self.runtime or "processes"](workers or self.worker_count)

    def pages(self) -> PageNodes:
        """Where shuffles between processes leave their pages."""
        raise NotImplementedError("only sessions whose stages go to other processes have pages")

    def close(self) -> None:
        """End the session: work goes on on this machine, as without one. Calling it again does nothing."""
        self._closed = True
        _leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a session belongs to the process that opened it")

    def __repr__(self) -> str:
        return f"<esker session: {self.where}{', closed' if self._closed else ''}>"


def _is_whole(value: object) -> bool:
    """Whether a caller without a type checker gave a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


_LOCK = threading.Lock()
_CURRENT: Session | None = None
_OWNER = 0


def current_session() -> Session | None:
    """The session of this process, or None."""
    # A process that was forked has not opened it.
    return _CURRENT if os.getpid() == _OWNER else None


def enter(session: Session) -> None:
    """Make it the session of this process; OptionError while there is another."""
    global _CURRENT, _OWNER
    with _LOCK:
        before = current_session()
        if before is not None:
            raise OptionError(f"there is a session already ({before.where}); close it first")
        _CURRENT, _OWNER = session, os.getpid()


def _leave(session: Session) -> None:
    global _CURRENT
    with _LOCK:
        if _CURRENT is session:
            _CURRENT = None


def session_of(context: QueryContext) -> Session | None:
    """The session that takes stages of a query's plan to other processes, or None."""
    session = context.session
    return session if isinstance(session, Session) and session.apart and not session.closed else None


def default_runtime() -> str:
    """Where functions on partitions run when nothing else is said."""
    session = current_session()
    return (session.runtime if session is not None else None) or "processes"


def open_executor(runtime: str, workers: int) -> Executor:
    """Make the executor of one run; the session's own where it has that runtime."""
    session = current_session()
    return (
        session.executor(workers) if session is not None and session.runtime == runtime else EXECUTORS[runtime](workers)
    )
