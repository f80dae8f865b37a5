"""Variables that tasks only add to, and the driver reads."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from esker.compat.pyspark.errors import PySparkRuntimeError
from esker.engine.bag.accumulator import Accumulator as _Accumulator
from esker.engine.bag.task_state import current_task

T = TypeVar("T")


class AccumulatorParam(Generic[T]):
    """Say how values of a type are added up; derive from it for types without `+=`.

    >>> from esker.compat.pyspark import SparkContext
    >>> class Vector(AccumulatorParam):
    ...     def zero(self, value):
    ...         return [0] * len(value)
    ...     def addInPlace(self, left, right):
    ...         return [a + b for a, b in zip(left, right)]
    >>> with SparkContext("local[2]", "vectors") as sc:
    ...     total = sc.accumulator([1, 2], Vector())
    ...     sc.range(3).foreach(lambda n: total.add([n, 1]))
    ...     total.value
    [4, 5]
    """

    def zero(self, value: T) -> T:
        """Give what a task starts from; `value` is the accumulator's first."""
        raise NotImplementedError

    def addInPlace(self, value1: T, value2: T) -> T:
        """Add; `value1` may be changed and given back."""
        raise NotImplementedError


class AddingAccumulatorParam(AccumulatorParam[Any]):
    """Add by `+=`, from a zero."""

    def __init__(self, zero_value: Any) -> None:
        self.zero_value = zero_value

    def zero(self, value: Any) -> Any:
        """Give the zero."""
        return self.zero_value

    def addInPlace(self, value1: Any, value2: Any) -> Any:
        """Add."""
        value1 += value2
        return value1


INT_ACCUMULATOR_PARAM = AddingAccumulatorParam(0)
FLOAT_ACCUMULATOR_PARAM = AddingAccumulatorParam(0.0)
COMPLEX_ACCUMULATOR_PARAM = AddingAccumulatorParam(0.0j)


def default_param(value: Any) -> AccumulatorParam[Any]:
    """Give how to add up numbers. Raises TypeError for anything else."""
    for kind, param in (
        (int, INT_ACCUMULATOR_PARAM),
        (float, FLOAT_ACCUMULATOR_PARAM),
        (complex, COMPLEX_ACCUMULATOR_PARAM),
    ):
        if isinstance(value, kind):
            return param
    raise TypeError(f"No default accumulator param for type {type(value)}")


class Accumulator(_Accumulator[T]):
    """A variable that tasks add to with `+=` or `add`, and that the driver reads; `SparkContext.accumulator` makes it.

    What a task adds counts once, when its partition is done; a partition that another action computes again adds again.
    """

    def __init__(self, aid: int, value: T, accum_param: AccumulatorParam[T]) -> None:
        super().__init__(accum_param.zero(value), accum_param.addInPlace)
        self.aid = aid
        self.accum_param = accum_param
        self._value = value

    @property
    def value(self) -> T:
        """The total, on the driver. Raises PySparkRuntimeError in a task, which may only add."""
        self._require_driver()
        total: T = self._value
        return total

    @value.setter
    def value(self, value: T) -> None:
        self._require_driver()
        self._value = value

    def _require_driver(self) -> None:
        if current_task() is not None:
            raise PySparkRuntimeError(
                "Accumulator.value cannot be accessed inside tasks; add to it there, and read it on the driver.",
                "VALUE_NOT_ACCESSIBLE",
            )

    def add(self, term: T) -> None:
        """Add."""
        super().add(term)

    def __iadd__(self, term: T) -> Accumulator[T]:
        self.add(term)
        return self

    def __str__(self) -> str:
        return str(self._value)

    def __repr__(self) -> str:
        return f"Accumulator<id={self.aid}, value={self._value}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _in_task, (self._number, self.aid, self._zero, self.accum_param)


def _in_task(number: int, aid: int, zero: Any, param: AccumulatorParam[Any]) -> Accumulator[Any]:
    made: Accumulator[Any] = Accumulator.__new__(Accumulator)
    made._number, made._zero, made._value, made._add = number, zero, zero, param.addInPlace
    made.aid, made.accum_param = aid, param
    return made
