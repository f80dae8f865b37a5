"""What a function over edges sees: columns of the edge and of both its ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from esker.errors import UnknownColumnError


class Columns(Mapping[str, Any]):
    """Columns by name, made when they are asked for.

    >>> columns = Columns("src", ["rank"], lambda name: f"the column {name}")
    >>> columns["rank"]
    'the column rank'
    >>> columns["rnk"]
    Traceback (most recent call last):
        ...
    esker.errors.UnknownColumnError: no column 'rnk' in src; did you mean 'rank'? columns: rank [ESK-101]
    """

    def __init__(self, where: str, names: list[str], take: Callable[[str], Any]) -> None:
        self._where = where
        self._names = names
        self._take = take
        self._taken: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise UnknownColumnError.of(name, self._names, self._where)
        if name not in self._taken:
            self._taken[name] = self._take(name)
        return self._taken[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Triplets:
    """Some edges with their ends: `src`, `dst` and `edge` are columns by name, all of one length."""

    src: Columns
    dst: Columns
    edge: Columns
