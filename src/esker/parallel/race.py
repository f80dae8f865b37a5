"""first and gather: tasks side by side, for callables (in processes or threads) and for what can be awaited."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from esker.engine.bag.task_state import TaskState, running
from esker.engine.user_function import failure, function_name
from esker.errors import EskerError, InputError, OptionError
from esker.parallel import awaited
from esker.parallel.run import check_runtime, is_failure, nested_seed, open_executor, raised, worker_count
from esker.parallel.task import USERS, Broken, Failure, portable

T = TypeVar("T")


@overload
def first(
    tasks: Iterable[Awaitable[T]] | Iterable[Callable[[], Awaitable[T]]], *, success: bool = ..., runtime: str = ...
) -> Awaitable[T]: ...
@overload
def first(tasks: Iterable[Callable[[], T]], *, success: bool = ..., runtime: str = ...) -> T: ...


def first(tasks: Iterable[Any], *, success: bool = False, runtime: str = "processes") -> Any:
    """Run all tasks at the same time, give what the first to end returns (or raises), and end the others.

    With `success` the first that returns counts, and failures only when all fail. When `first` returns the losers
    have ended: processes are killed, asynchronous tasks cancelled and waited for. Threads cannot be ended: they run on
    unheard.

    >>> import time
    >>> from esker import first
    >>> first([lambda: time.sleep(60), lambda: "quick"])
    'quick'

    Asynchronous functions, coroutines and futures make `first` one to await: `await first([fetch(a), fetch(b)])`.
    Raises InputError when there are no tasks.
    """
    chosen = _checked(tasks, "first", runtime)
    if not chosen:
        raise InputError("first of no tasks: there is none")
    if _asynchronous(chosen, "first"):
        return awaited.first(chosen, success)
    failures: dict[int, Any] = {}
    with _Race(chosen, runtime, len(chosen), "first") as race:
        for number, outcome in race:
            if not success or not is_failure(outcome):
                break
            failures[number] = outcome
        else:
            outcome = failures[0]
    return raised(outcome)


@overload
def gather(  # type: ignore[overload-overlap]  # what is both is awaited
    tasks: Iterable[Awaitable[T]] | Iterable[Callable[[], Awaitable[T]]],
    *,
    workers: int | None = ...,
    runtime: str = ...,
    return_failures: bool = ...,
) -> Awaitable[list[T]]: ...
@overload
def gather(
    tasks: Iterable[Callable[[], T]], *, workers: int | None = ..., runtime: str = ..., return_failures: bool = ...
) -> list[T]: ...


def gather(
    tasks: Iterable[Any], *, workers: int | None = None, runtime: str = "processes", return_failures: bool = False
) -> Any:
    """Run all tasks and give their results in the order of the tasks; a failure ends the others and is raised.

    At most `workers` run at a time: by default as many as there are processors, or all of those that are awaited.
    With `return_failures` all run to their end, and errors are in the list where results would be.

    >>> from esker import gather
    >>> gather([lambda: 1, lambda: 2], runtime="threads")
    [1, 2]
    """
    chosen = _checked(tasks, "gather", runtime)
    if _asynchronous(chosen, "gather"):
        return awaited.gather(chosen, None if workers is None else worker_count(workers), return_failures)
    results: dict[int, Any] = {}
    with _Race(chosen, runtime, worker_count(workers), "gather") as race:
        for number, outcome in race:
            if is_failure(outcome) and not return_failures:
                return raised(outcome)
            results[number] = outcome.error() if isinstance(outcome, Failure | Broken) else outcome
    return [results[number] for number in range(len(chosen))]


def _checked(tasks: Iterable[Any], verb: str, runtime: str) -> list[Any]:
    check_runtime(runtime)
    chosen = list(tasks)
    for number, task in enumerate(chosen):
        if not callable(task) and not inspect.isawaitable(task):
            awaited.close(chosen)
            raise OptionError(
                f"{verb}: task {number} is neither callable nor to be awaited, but {type(task).__name__};"
                " write lambda: function(argument)"
            )
    return chosen


def _asynchronous(tasks: Sequence[Any], verb: str) -> bool:
    kinds = {inspect.isawaitable(task) or awaited.is_async(task) for task in tasks}
    if len(kinds) > 1:
        awaited.close(tasks)
        raise OptionError(f"{verb}: some tasks are to be awaited and others are not; keep the two apart")
    return kinds == {True}


@dataclass(frozen=True)
class _Call:
    """One task; its random numbers are those of its number."""

    function: Callable[[], Any]
    number: int
    seed: int
    verb: str

    def __call__(self) -> Any:
        with running(TaskState(self.number, seed=self.seed)):
            try:
                return self.function()
            except EskerError:
                raise
            except USERS as error:
                found = failure(error, self.function, self.verb, f"task {self.number}")
                return Failure(str(found), portable(error))


class _Race:
    """Runs calls; iterating gives (number, outcome) as they end, leaving the block ends the rest."""

    def __init__(self, tasks: Sequence[Callable[[], Any]], runtime: str, workers: int, verb: str) -> None:
        self._executor = open_executor(runtime, max(1, min(workers, len(tasks))))
        self._numbers: dict[int, int] = {}
        self._tasks = tasks
        self._seed = nested_seed(0)
        self._verb = verb

    def __enter__(self) -> _Race:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.cancel(self._numbers)
        self._executor.close()

    def __iter__(self) -> Any:
        for number, task in enumerate(self._tasks):
            call = _Call(task, number, self._seed, self._verb)
            self._numbers[self._executor.submit(call)] = number
        while self._numbers:
            for completion in self._executor.completed():
                number = self._numbers.pop(completion.ticket)
                yield number, completion.value if completion.error is None else self._named(completion.error, number)

    def _named(self, error: BaseException, number: int) -> Broken:
        error.add_note(f"in {function_name(self._tasks[number])}, task {number} of {self._verb}")
        return Broken(error)
