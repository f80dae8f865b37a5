"""first and gather for what is awaited; on anyio, so that who loses has ended when they return."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, cast

import anyio

from esker.engine.user_function import failure
from esker.errors import EskerError

Task = Awaitable[Any] | Callable[[], Awaitable[Any]]


def is_async(task: Any) -> bool:
    """Tell whether calling `task` gives something to await."""
    while isinstance(task, partial):
        task = task.func
    return inspect.iscoroutinefunction(task) or inspect.iscoroutinefunction(getattr(task, "__call__", None))  # noqa: B004  # an object whose call is a coroutine function


def close(tasks: Sequence[Any]) -> None:
    """Close coroutines that were never begun; the others have ended."""
    for task in tasks:
        if inspect.iscoroutine(task):
            task.close()


async def first(tasks: Sequence[Task], success: bool) -> Any:
    """Give what the first task to end returns or raises; with `success`, the first that returns."""
    try:
        return await _first(tasks, success)
    finally:
        close(tasks)


async def _first(tasks: Sequence[Task], success: bool) -> Any:
    outcomes: list[tuple[bool, Any]] = []
    failures: dict[int, Exception] = {}
    async with anyio.create_task_group() as group:

        async def run(number: int) -> None:
            try:
                result = await _awaited(tasks[number], "first", number)
            except Exception as error:  # noqa: BLE001  # raised below, alone
                failures[number] = error
                if success and len(failures) < len(tasks):
                    return
                outcomes.append((False, error))
            else:
                outcomes.append((True, result))
            group.cancel_scope.cancel()

        for number in range(len(tasks)):
            group.start_soon(run, number)
    succeeded, outcome = outcomes[0]
    if succeeded:
        return outcome
    raise failures[0] if success else outcome


async def gather(tasks: Sequence[Task], workers: int | None, return_failures: bool) -> list[Any]:
    """Give the results of all tasks, in their order."""
    try:
        return await _gather(tasks, workers, return_failures)
    finally:
        close(tasks)


async def _gather(tasks: Sequence[Task], workers: int | None, return_failures: bool) -> list[Any]:
    results: list[Any] = [None] * len(tasks)
    failures: list[Exception] = []
    limit = anyio.CapacityLimiter(workers or max(len(tasks), 1))
    async with anyio.create_task_group() as group:

        async def run(number: int) -> None:
            async with limit:
                try:
                    results[number] = await _awaited(tasks[number], "gather", number)
                except Exception as error:  # noqa: BLE001  # raised below, alone
                    results[number] = error
                    failures.append(error)
                    if not return_failures:
                        group.cancel_scope.cancel()

        for number in range(len(tasks)):
            group.start_soon(run, number)
    if failures and not return_failures:
        raise failures[0]
    return results


async def _awaited(task: Task, verb: str, number: int) -> Any:
    try:
        return await (task if inspect.isawaitable(task) else task())
    except EskerError:
        raise
    except Exception as error:
        # A coroutine has a name as a function has.
        raise failure(error, cast("Callable[..., Any]", task), verb, f"task {number}") from error
