"""The values of one key, as `groupByKey` and `cogroup` hand them out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ResultIterable(Generic[T]):
    """Wrap values that have a length and can be read again and again; they may lie on disk.

    >>> list(ResultIterable([1, 2])), len(ResultIterable([1, 2]))
    ([1, 2], 2)
    """

    def __init__(self, data: Collection[T]) -> None:
        self.data = data
        self.index = 0
        self.maxindex = len(data)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __len__(self) -> int:
        return self.maxindex

    def __reduce__(self) -> tuple[Any, ...]:
        return ResultIterable, (list(self.data),)
