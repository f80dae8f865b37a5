"""A value that several may ask for, made by the first who does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Once(Generic[Value]):
    """Makes a value when it is first asked for, by whichever thread.

    >>> numbers = iter([1, 2])
    >>> once = Once(lambda: next(numbers))
    >>> once(), once()
    (1, 1)
    """

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[Value] = []

    def __call__(self) -> Value:
        """The value."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]
