"""A run of a stream, and what a step of it knows while it runs.

Steps are asynchronous generators, each over the one before it. One rule keeps them sound: no step yields inside a task
group or a cancel scope (PEP 789 tells what goes wrong). Tasks of a step live in the task group of the whole run, and
the step ends them before it ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

from esker.stream.supervisor import STOPPING, Decision, Supervisor

T = TypeVar("T")

Elements = AsyncGenerator[T, None]


class Run:
    """One run: the task group that the tasks of all steps live in."""

    def __init__(self, group: TaskGroup) -> None:
        self.group = group


@asynccontextmanager
async def open_run() -> AsyncIterator[Run]:
    """Open a run; when the block ends every task of it has ended. Errors come out as they were raised, alone."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        try:
            yield Run(group)
        except Exception as error:  # noqa: BLE001  # raised again below; a task group would wrap it in a group
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


@dataclass(frozen=True)
class Step:
    """One step of a stream: the operator's name, and how it is opened over the elements before it."""

    operator: str
    open: Callable[[Elements[Any], Stage], Elements[Any]]
    supervisor: Supervisor | None = None


class Stage:
    """A step in a run: its operator's name, the run, and who decides what becomes of failures."""

    def __init__(self, run: Run, operator: str, supervisor: Supervisor | None = None) -> None:
        self.run = run
        self.operator = operator
        self._supervisor = supervisor or STOPPING

    def failed(self, error: Exception, function: Callable[..., Any], element: object) -> Decision:
        """Decide on a failed call: raises a UserFunctionError unless the supervisor lets the stream go on."""
        return self._supervisor.decide(error, function, self.operator, element)


class Tasks:
    """The tasks of one step; leaving the block ends them and waits until they have.

    They catch their own errors: what goes wrong in a task is handed to whoever reads its results.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._scopes: set[anyio.CancelScope] = set()
        self._left = 0
        self._closing: anyio.Event | None = None

    def start(self, function: Callable[[], Awaitable[None]]) -> None:
        """Run `function` beside the others."""
        self._left += 1
        self._run.group.start_soon(self._do, function)

    async def _do(self, function: Callable[[], Awaitable[None]]) -> None:
        try:
            with anyio.CancelScope() as scope:
                self._scopes.add(scope)
                if self._closing is not None:
                    scope.cancel()
                await function()
        finally:
            self._scopes.discard(scope)
            self._left -= 1
            if self._closing is not None and not self._left:
                self._closing.set()

    async def close(self) -> None:
        """End every task; returns when all files and generators of theirs are closed."""
        self._closing = anyio.Event()
        for scope in self._scopes:
            scope.cancel()
        if self._left:
            with anyio.CancelScope(shield=True):
                await self._closing.wait()

    async def __aenter__(self) -> Tasks:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
