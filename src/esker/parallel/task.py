"""What one task does, wherever it runs: a chunk's items through the steps, into the end of the line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from esker.engine.bag.task_state import TaskState, running
from esker.engine.user_function import failure
from esker.errors import CancelledError, EskerError, UserFunctionError
from esker.parallel.chunks import Chunk, Source
from esker.runtime.attempt import current_attempt
from esker.runtime.pickled import Shared, dump, load

SHOWN_CHARACTERS = 80
# What a user's function may raise: leaving the interpreter is not its to decide, where it is one of many.
USERS = (Exception, SystemExit)


@dataclass(frozen=True)
class Step:
    """One step of the line: its kind, the verb that added it, and the user's function."""

    kind: str
    operator: str
    function: Callable[..., Any]


@dataclass(frozen=True)
class Program:
    """What all chunks have in common: how items are made, the steps, and what becomes of a chunk's results."""

    source: Source
    steps: tuple[Step, ...]
    end: Callable[[Iterator[Any]], Any]


class _Failed(Exception):
    """A user's function raised: carries the step and the element, until the chunk is given up."""

    def __init__(self, error: BaseException, step: Step, element: object) -> None:
        self.error = error
        self.step = step
        self.element = element


@dataclass(frozen=True)
class Failure:
    """What a chunk failed with, on its way to the caller."""

    message: str
    original: BaseException | None

    def error(self) -> UserFunctionError:
        """The error to raise where the result was asked for."""
        found = UserFunctionError(self.message)
        found.__cause__ = self.original
        return found


@dataclass(frozen=True)
class Broken:
    """What went wrong with a task outside of the user's function: a worker died, a result could not be sent."""

    cause: BaseException

    def error(self) -> BaseException:
        """The error to raise where the result was asked for."""
        return self.cause


@dataclass(frozen=True)
class Task:
    """A chunk and the program; `stopped` is asked between items where the task cannot be ended from outside."""

    program: Shared
    chunk: Chunk
    seed: int
    stopped: Callable[[], bool] | None = None

    def __call__(self) -> Any:
        program: Program = self.program.value
        state = TaskState(seed=self.seed)
        with running(state):
            items: Iterable[Any] = self._numbered(program.source.items(self.chunk.content), state)
            for step in program.steps:
                items = _STEPS[step.kind](items, step)
            try:
                return program.end(iter(items))
            except _Failed as failed:
                return _failure(failed, state.partition)

    def _numbered(self, items: Iterable[Any], state: TaskState) -> Iterator[Any]:
        """Let chance begin anew for each item, by its number: so chunks have no part in it."""
        attempt = current_attempt()
        for number, item in enumerate(items, self.chunk.first):
            if self.stopped is not None and self.stopped():
                raise CancelledError("stopped: its result is not wanted any more")
            state.partition = number
            if state.generators:
                state.generators = {}
            if attempt.traced:
                attempt.note(number + 1, item)
            yield item


def called(function: Callable[..., Any], step: Step, *arguments: Any, element: object) -> Any:
    """Call the user's function; what it raises is held with the step and the element."""
    try:
        return function(*arguments)
    except EskerError:
        raise
    except USERS as error:
        raise _Failed(error, step, element) from error


def _map(items: Iterable[Any], step: Step) -> Iterator[Any]:
    function = step.function
    for item in items:
        yield called(function, step, item, element=item)


def _filter(items: Iterable[Any], step: Step) -> Iterator[Any]:
    function = step.function
    for item in items:
        if called(function, step, item, element=item):
            yield item


def _flat_map(items: Iterable[Any], step: Step) -> Iterator[Any]:
    function = step.function
    for item in items:
        results = called(lambda item: iter(function(item)), step, item, element=item)
        while (result := called(next, step, results, _NOTHING, element=item)) is not _NOTHING:
            yield result


_NOTHING: Any = object()
_STEPS: dict[str, Callable[[Iterable[Any], Step], Iterator[Any]]] = {
    "map": _map,
    "filter": _filter,
    "flat_map": _flat_map,
}


def _failure(failed: _Failed, number: int) -> Failure:
    text = repr(failed.element)
    text = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    error = failure(failed.error, failed.step.function, failed.step.operator, f"item {number}: {text}")
    return Failure(str(error), portable(failed.error))


def portable(error: BaseException) -> BaseException | None:
    """The error itself, if another process can read it."""
    try:
        load(*dump(error))
    except Exception:  # noqa: BLE001  # then it is told in words only
        return None
    return error
