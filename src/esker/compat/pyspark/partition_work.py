"""What actions do with a partition, in a task. Functions of a module travel as a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any


def count(elements: Iterable[Any]) -> int:
    """Count them."""
    return sum(1 for _ in elements)


@dataclass(frozen=True)
class ReduceByKey:
    """Reduce the values of each key to one, in a dictionary."""

    user_function: Callable[[Any, Any], Any]

    def __call__(self, pairs: Iterable[Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        self.merge(found, pairs)
        return found

    def merge(self, found: dict[Any, Any], pairs: Iterable[Any]) -> None:
        """Take in more pairs."""
        for key, value in pairs:
            found[key] = self.user_function(found[key], value) if key in found else value


@dataclass(frozen=True)
class Listed:
    """Keep what a partition function gives."""

    user_function: Callable[[Iterator[Any]], Iterable[Any]]

    def __call__(self, elements: Iterator[Any]) -> list[Any]:
        return list(self.user_function(elements))


@dataclass(frozen=True)
class HasKey:
    """Tell pairs of one key."""

    key: Any

    def __call__(self, pair: Any) -> bool:
        return bool(pair[0] == self.key)


@dataclass(frozen=True)
class WithoutIndex:
    """A function of a partition, where one of its index and the partition is wanted."""

    user_function: Callable[[Iterable[Any]], Iterable[Any]]

    def __call__(self, index: int, elements: Iterable[Any]) -> Iterable[Any]:
        return self.user_function(elements)
