"""What becomes of a chunk's results in the worker, and how those of all chunks become one: in order, always."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

from esker.engine.user_function import failure
from esker.errors import EskerError
from esker.parallel.task import Step, called

U = TypeVar("U")

NOTHING: Any = object()


@dataclass(frozen=True)
class Found:
    """A value, where there might be none."""

    value: Any


def fold(items: Iterator[Any], zero: Any, step: Step) -> Any:
    """Fold a chunk, beginning with a copy of `zero`."""
    function, state = step.function, deepcopy(zero)
    for item in items:
        state = called(function, step, state, item, element=item)
    return state


def reduce(items: Iterator[Any], step: Step) -> Found | None:
    """Reduce a chunk; None when it has no items."""
    function = step.function
    state = next(items, NOTHING)
    if state is NOTHING:
        return None
    for item in items:
        state = called(function, step, state, item, element=item)
    return Found(state)


def find(items: Iterator[Any], step: Step, wanted: bool = True) -> Found | None:
    """Find the first item for which the function says what is `wanted`."""
    function = step.function
    for item in items:
        if bool(called(function, step, item, element=item)) is wanted:
            return Found(item)
    return None


def foreach(items: Iterator[Any], step: Step) -> int:
    """Call the function with every item; how many there were."""
    function, count = step.function, 0
    for item in items:
        called(function, step, item, element=item)
        count += 1
    return count


def count(items: Iterator[Any]) -> int:
    """Count the items."""
    return sum(1 for _ in items)


def extreme(items: Iterator[Any], choose: Callable[..., Any], step: Step) -> Found | None:
    """The least or the greatest item with its key; the first of equals."""
    keyed = ((called(step.function, step, item, element=item), item) for item in items)
    for first in keyed:
        return Found(choose(chain([first], keyed), key=_key))
    return None


def _key(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def merged(function: Callable[[Any, Any], Any], operator: str, left: Any, right: Any) -> Any:
    """Merge what two chunks came to, in the caller's process."""
    try:
        return function(left, right)
    except EskerError:
        raise
    except Exception as error:
        raise failure(error, function, operator, "the results of two chunks") from error


def copy_of(zero: U) -> U:
    """A zero for nothing to be folded into: never the caller's own, which may be mutable."""
    return deepcopy(zero)
