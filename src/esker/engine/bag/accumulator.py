"""Accumulators: functions add to them, in whatever process they run; the driver reads the total."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Generic, TypeVar, overload

from esker.engine.bag.task_state import current_task
from esker.errors import EskerError

T = TypeVar("T")

_NUMBERS = count(1)
_KNOWN: weakref.WeakValueDictionary[int, Accumulator[Any]] = weakref.WeakValueDictionary()


class Accumulator(Generic[T]):
    """A total that functions of a Bag add to; made by `esker.accumulator`.

    A partition's additions count when it is done, once, whatever was tried in vain before, in the order of partitions;
    a partition that is computed again by another action adds again.
    """

    def __init__(self, zero: T, add: Callable[[T, T], T] = operator.add) -> None:
        self._number = next(_NUMBERS)
        self._zero = zero
        self._value = zero
        self._add = add
        _KNOWN[self._number] = self

    @property
    def value(self) -> T:
        """The total, in the process that made the accumulator; EskerError within a function of a Bag."""
        if current_task() is not None:
            raise EskerError("an accumulator can only be added to within a function of a Bag; read it afterwards")
        return self._value

    @value.setter
    def value(self, value: T) -> None:
        if current_task() is not None:
            raise EskerError("an accumulator can only be added to within a function of a Bag; set it afterwards")
        self._value = value

    def add(self, term: T) -> None:
        """Add `term`."""
        task = current_task()
        if task is None:
            self._value = self._add(self._value, term)
        elif self._number in task.updates:
            task.updates[self._number] = self._add(task.updates[self._number], term)
        else:
            # Copied: adding may change its left side.
            task.updates[self._number] = self._add(_copied(self._zero), term)

    def __iadd__(self, term: T) -> Accumulator[T]:
        self.add(term)
        return self

    def merge(self, update: T) -> None:
        """Take in what a partition added."""
        self._value = self._add(self._value, update)

    def __reduce__(self) -> tuple[Any, ...]:
        return _in_task, (self._number, self._zero, self._add)

    def __repr__(self) -> str:
        return f"Accumulator({self._value!r})"


def _copied(zero: T) -> T:
    from copy import deepcopy

    return deepcopy(zero)


def _in_task(number: int, zero: Any, add: Callable[[Any, Any], Any]) -> Accumulator[Any]:
    made: Accumulator[Any] = Accumulator.__new__(Accumulator)
    made._number, made._zero, made._value, made._add = number, zero, zero, add
    return made


def apply_updates(updates: Mapping[int, Any]) -> None:
    """Add what a partition's functions added."""
    for number, update in updates.items():
        known = _KNOWN.get(number)
        if known is not None:
            known.merge(update)


@overload
def accumulator() -> Accumulator[int]: ...


@overload
def accumulator(zero: T, add: Callable[[T, T], T] = operator.add) -> Accumulator[T]: ...


def accumulator(zero: Any = 0, add: Callable[[Any, Any], Any] = operator.add) -> Accumulator[Any]:
    """Make a total that functions of a Bag may add to: `add(total, term)`, beginning with `zero`.

    >>> import esker
    >>> seen = esker.accumulator()
    >>> esker.range(10).foreach(seen.add)
    >>> seen.value
    45
    """
    return Accumulator(zero, add)
